#include "model/gguf_names.h"

#include <fmt/core.h>

#include <cstdlib>
#include <utility>

#include "base/check.h"

namespace retort::model {
namespace {

constexpr std::pair<const char*, const char*> kWhole[] = {
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
};
constexpr std::pair<const char*, const char*> kInLayer[] = {
    {"input_layernorm.weight", "attn_norm.weight"},
    {"self_attn.q_proj.weight", "attn_q.weight"},
    {"self_attn.k_proj.weight", "attn_k.weight"},
    {"self_attn.v_proj.weight", "attn_v.weight"},
    {"self_attn.o_proj.weight", "attn_output.weight"},
    {"post_attention_layernorm.weight", "ffn_norm.weight"},
    {"mlp.gate_proj.weight", "ffn_gate.weight"},
    {"mlp.up_proj.weight", "ffn_up.weight"},
    {"mlp.down_proj.weight", "ffn_down.weight"},
};

Result<void> refuse_unsupported(const artifact::GgufFile& file) {
  RETORT_TRY(const std::string architecture, file.string_at("general.architecture"));
  if (architecture != "llama") {
    return base::bad_input("the architecture \"" + architecture + "\" is not supported",
                           "general.architecture", "use a model of architecture llama");
  }
  RETORT_TRY(const std::string scaling, file.string_at("llama.rope.scaling.type", "none"));
  if (scaling != "none" || file.find_tensor("rope_freqs.weight") != nullptr) {
    return base::bad_input("rope scaling is not supported", "llama.rope.scaling.type",
                           "use a model without rope scaling");
  }
  RETORT_TRY(const int64_t experts, file.int_at("llama.expert_count", 0));
  if (experts > 0) {
    return base::bad_input("mixtures of experts are not supported", "llama.expert_count");
  }
  return {};
}

// GGUF keeps 1e-5 as a float, which as a double is 9.99999974e-06. The number that was meant is the
// shortest one that is the same float, so that a written model reads back with an equal shape.
Result<double> number_meant(const artifact::GgufFile& file, const char* key, double otherwise) {
  RETORT_TRY(const double stored, file.number_at(key, otherwise));
  const auto single = static_cast<float>(stored);
  if (static_cast<double>(single) != stored) return stored;
  return std::strtod(fmt::format("{}", single).c_str(), nullptr);
}

}  // namespace

Result<Config> config_from_gguf(const artifact::GgufFile& file) {
  RETORT_TRY_VOID(refuse_unsupported(file));
  const artifact::GgufTensor* embedding = file.find_tensor("token_embd.weight");
  if (embedding == nullptr || embedding->dims.size() != 2) {
    return base::bad_input("the tensor token_embd.weight is missing or no matrix", file.where());
  }
  Config c;
  c.vocab = embedding->dims[1];
  RETORT_TRY(c.width, file.int_at("llama.embedding_length"));
  RETORT_TRY(c.layers, file.int_at("llama.block_count"));
  RETORT_TRY(c.heads, file.int_at("llama.attention.head_count"));
  RETORT_TRY(c.kv_heads, file.int_at("llama.attention.head_count_kv", c.heads));
  const int64_t even_share = c.heads > 0 ? c.width / c.heads : 0;
  RETORT_TRY(c.head_dim, file.int_at("llama.attention.key_length", even_share));
  RETORT_TRY(c.ffn, file.int_at("llama.feed_forward_length"));
  RETORT_TRY(c.max_positions, file.int_at("llama.context_length", 2048));
  RETORT_TRY(c.norm_eps, number_meant(file, "llama.attention.layer_norm_rms_epsilon", 1e-5));
  RETORT_TRY(c.rope_theta, number_meant(file, "llama.rope.freq_base", 10000.0));
  c.tied_embeddings = file.find_tensor("output.weight") == nullptr;
  RETORT_TRY_VOID(validate(c));
  RETORT_TRY(const int64_t turned, file.int_at("llama.rope.dimension_count", c.head_dim));
  RETORT_TRY(const int64_t values, file.int_at("llama.attention.value_length", c.head_dim));
  if (turned != c.head_dim || values != c.head_dim) {
    return base::bad_input("heads that are turned in part, or of unequal sizes, are not supported",
                           "llama.rope.dimension_count");
  }
  return c;
}

std::string gguf_name(const std::string& hf_name) {
  for (const auto& [hf, gguf] : kWhole) {
    if (hf_name == hf) return gguf;
  }
  const std::string prefix = "model.layers.";
  const size_t dot = hf_name.find('.', prefix.size());
  RETORT_CHECK(hf_name.starts_with(prefix) && dot != std::string::npos, "{}", hf_name);
  const std::string rest = hf_name.substr(dot + 1);
  for (const auto& [hf, gguf] : kInLayer) {
    if (rest == hf) return "blk." + hf_name.substr(prefix.size(), dot - prefix.size()) + "." + gguf;
  }
  RETORT_CHECK(false, "no tensor {}", hf_name);
  return "";
}

int64_t paired_heads(const std::string& hf_name, const Config& config) {
  if (hf_name.ends_with("self_attn.q_proj.weight")) return config.heads;
  if (hf_name.ends_with("self_attn.k_proj.weight")) return config.kv_heads;
  return 0;
}

}  // namespace retort::model
