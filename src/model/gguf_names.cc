#include "model/gguf_names.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "model/rope_scaling.h"

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
    {"self_attn.q_proj.bias", "attn_q.bias"},
    {"self_attn.k_proj.bias", "attn_k.bias"},
    {"self_attn.v_proj.bias", "attn_v.bias"},
    {"self_attn.q_norm.weight", "attn_q_norm.weight"},
    {"self_attn.k_norm.weight", "attn_k_norm.weight"},
    {"self_attn.o_proj.weight", "attn_output.weight"},
    {"post_attention_layernorm.weight", "ffn_norm.weight"},
    {"mlp.gate_proj.weight", "ffn_gate.weight"},
    {"mlp.up_proj.weight", "ffn_up.weight"},
    {"mlp.down_proj.weight", "ffn_down.weight"},
};

// GGUF keeps 1e-5 as a float, which as a double is 9.99999974e-06. The number that was meant is the
// shortest one that is the same float, so that a written model reads back with an equal shape.
double number_meant(double stored) {
  const auto single = static_cast<float>(stored);
  if (static_cast<double>(single) != stored) return stored;
  return std::strtod(fmt::format("{}", single).c_str(), nullptr);
}

// The keys of one architecture.
class Keys {
 public:
  Keys(const artifact::GgufFile& file, const std::string& architecture)
      : file_(file), prefix_(architecture + ".") {}
  std::string key(const char* rest) const { return prefix_ + rest; }
  Result<int64_t> integer(const char* rest, std::optional<int64_t> otherwise = {}) const {
    return file_.int_at(key(rest), otherwise);
  }
  Result<double> number(const char* rest, double otherwise) const {
    RETORT_TRY(const double stored, file_.number_at(key(rest), otherwise));
    return number_meant(stored);
  }
  Result<std::string> text(const char* rest, const char* otherwise) const {
    return file_.string_at(key(rest), otherwise);
  }

 private:
  const artifact::GgufFile& file_;
  std::string prefix_;
};

Result<std::string> architecture_of(const artifact::GgufFile& file) {
  RETORT_TRY(std::string architecture, file.string_at("general.architecture"));
  if (architecture == "llama" || architecture == "qwen2" || architecture == "qwen3") {
    return architecture;
  }
  return base::bad_input("the architecture \"" + architecture + "\" is not supported",
                         "general.architecture",
                         "use a model of architecture llama, qwen2 or qwen3");
}

// What every frequency is divided by. Like llama.cpp, a factor without a type is linear, and a type
// of none lets the factor be.
Result<double> linear_scaling(const Keys& keys) {
  RETORT_TRY(const std::string type, keys.text("rope.scaling.type", "linear"));
  if (type == "none") return 1.0;
  if (type != "linear") {
    return base::bad_input("the rope scaling \"" + type + "\" is not supported",
                           keys.key("rope.scaling.type"),
                           "use a model of rope scaling linear, or of none");
  }
  RETORT_TRY(const double older, keys.number("rope.scale_linear", 0));
  RETORT_TRY(const double factor, keys.number("rope.scaling.factor", older));
  if (factor == 0) return 1.0;
  if (factor >= 1e-6 && factor <= 1e6) return factor;
  return base::bad_input(fmt::format("the rope scaling's factor cannot be {}", factor),
                         keys.key("rope.scaling.factor"));
}

Result<std::vector<float>> rope_divisors(const artifact::GgufFile& file, const Keys& keys,
                                         const Config& c) {
  RETORT_TRY(const double factor, linear_scaling(keys));
  std::vector<float> divisors(static_cast<size_t>(c.head_dim / 2), 1.0f);
  if (const artifact::GgufTensor* table = file.find_tensor(kGgufRopeTable)) {
    if (table->dims != std::vector<int64_t>{c.head_dim / 2}) {
      return base::bad_input(
          fmt::format("the tensor {} is no vector of {} numbers", kGgufRopeTable, c.head_dim / 2),
          file.where(), "the file is damaged or its configuration belongs to another model");
    }
    RETORT_TRY_VOID(file.read(*table, divisors));
  }
  for (float& divisor : divisors) divisor *= static_cast<float>(factor);
  return canonical_divisors(std::move(divisors), c.rope_theta);
}

Result<void> refuse_unsupported(const Keys& keys, const Config& c) {
  RETORT_TRY(const int64_t experts, keys.integer("expert_count", 0));
  if (experts > 0) {
    return base::bad_input("mixtures of experts are not supported", keys.key("expert_count"));
  }
  RETORT_TRY(const int64_t turned, keys.integer("rope.dimension_count", c.head_dim));
  RETORT_TRY(const int64_t values, keys.integer("attention.value_length", c.head_dim));
  if (turned != c.head_dim || values != c.head_dim) {
    return base::bad_input("heads that are turned in part, or of unequal sizes, are not supported",
                           keys.key("rope.dimension_count"));
  }
  return {};
}

uint32_t u32(int64_t value) {
  RETORT_CHECK(value >= 0 && value <= UINT32_MAX, "{}", value);
  return static_cast<uint32_t>(value);
}

}  // namespace

Result<Config> config_from_gguf(const artifact::GgufFile& file) {
  RETORT_TRY(const std::string architecture, architecture_of(file));
  const Keys keys(file, architecture);
  const artifact::GgufTensor* embedding = file.find_tensor("token_embd.weight");
  if (embedding == nullptr || embedding->dims.size() != 2) {
    return base::bad_input("the tensor token_embd.weight is missing or no matrix", file.where());
  }
  Config c;
  c.qkv_bias = architecture == "qwen2";
  c.qk_norm = architecture == "qwen3";
  c.vocab = embedding->dims[1];
  RETORT_TRY(c.width, keys.integer("embedding_length"));
  RETORT_TRY(c.layers, keys.integer("block_count"));
  RETORT_TRY(c.heads, keys.integer("attention.head_count"));
  RETORT_TRY(c.kv_heads, keys.integer("attention.head_count_kv", c.heads));
  const int64_t even_share = c.heads > 0 ? c.width / c.heads : 0;
  RETORT_TRY(c.head_dim, keys.integer("attention.key_length", even_share));
  RETORT_TRY(c.ffn, keys.integer("feed_forward_length"));
  RETORT_TRY(c.max_positions, keys.integer("context_length", 2048));
  // Within a window's length it hides nothing: positions end there, and full attention is exact.
  RETORT_TRY(const int64_t window, keys.integer("attention.sliding_window", 0));
  if (window > 0) c.max_positions = std::min(c.max_positions, window);
  RETORT_TRY(c.norm_eps, keys.number("attention.layer_norm_rms_epsilon", 1e-5));
  RETORT_TRY(c.rope_theta, keys.number("rope.freq_base", 10000.0));
  c.tied_embeddings = file.find_tensor("output.weight") == nullptr;
  RETORT_TRY_VOID(validate(c));
  RETORT_TRY_VOID(refuse_unsupported(keys, c));
  RETORT_TRY(c.rope_divisors, rope_divisors(file, keys, c));
  RETORT_TRY_VOID(validate(c));
  return c;
}

artifact::GgufMetadata gguf_shape(const Config& c) {
  artifact::GgufMetadata shape = {{"general.architecture", std::string(c.family())}};
  const auto add = [&](const char* key, artifact::GgufValue value) {
    shape.emplace_back(std::string(c.family()) + "." + key, std::move(value));
  };
  add("context_length", u32(c.max_positions));
  add("embedding_length", u32(c.width));
  add("block_count", u32(c.layers));
  add("feed_forward_length", u32(c.ffn));
  add("attention.head_count", u32(c.heads));
  add("attention.head_count_kv", u32(c.kv_heads));
  add("attention.key_length", u32(c.head_dim));
  add("attention.value_length", u32(c.head_dim));
  add("attention.layer_norm_rms_epsilon", static_cast<float>(c.norm_eps));
  add("rope.dimension_count", u32(c.head_dim));
  add("rope.freq_base", static_cast<float>(c.rope_theta));
  if (const auto factor = linear_factor(c.rope_divisors); factor && *factor != 1) {
    add("rope.scaling.type", std::string("linear"));
    add("rope.scaling.factor", *factor);
  }
  add("vocab_size", u32(c.vocab));
  return shape;
}

std::span<const float> gguf_rope_table(const Config& config) {
  if (linear_factor(config.rope_divisors)) return {};
  return config.rope_divisors;
}

Result<void> check_gguf_holds(const Config& config) {
  if (gguf_rope_table(config).empty() || std::string_view(config.family()) == "llama") return {};
  return base::bad_input(
      fmt::format("a GGUF of architecture {} has no room for rope scaling that differs from "
                  "frequency to frequency",
                  config.family()),
      "", "write a Hugging Face folder instead");
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
  if (std::string_view(config.family()) != "llama") return 0;
  if (hf_name.ends_with("self_attn.q_proj.weight")) return config.heads;
  if (hf_name.ends_with("self_attn.k_proj.weight")) return config.kv_heads;
  return 0;
}

}  // namespace retort::model
