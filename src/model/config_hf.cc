#include <fmt/core.h>

#include <algorithm>

#include "model/config.h"
#include "model/rope_scaling.h"

namespace retort::model {
namespace {

struct Type {
  const char* name;          // model_type
  const char* architecture;  // the class in "architectures"
};
constexpr Type kTypes[] = {{"llama", "LlamaForCausalLM"},
                           {"mistral", "MistralForCausalLM"},
                           {"qwen2", "Qwen2ForCausalLM"},
                           {"qwen3", "Qwen3ForCausalLM"}};

const Type* find_type(std::string_view name) {
  const auto* found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                   [&](const Type& type) { return name == type.name; });
  return found == std::end(kTypes) ? nullptr : found;
}

Result<Type> type_of(const json::Value& v) {
  RETORT_TRY(const std::string name, v.string_at("model_type", "llama"));
  const Type* type = find_type(name);
  if (type == nullptr) {
    return base::bad_input("the model type \"" + name + "\" is not supported", "model_type",
                           "use a model of type llama, mistral, qwen2 or qwen3");
  }
  if (const json::Value* names = v.find("architectures"); names != nullptr && names->is_array()) {
    for (const json::Value& one : names->as_array()) {
      if (one.is_string() && one.as_string() == type->architecture) continue;
      return base::bad_input(
          fmt::format("the architecture {} of type {} is not supported", json::dump(one), name),
          "architectures", fmt::format("use a {} model", type->architecture));
    }
  }
  return *type;
}

// Settings that would change the arithmetic in a way that is not built.
Result<void> refuse_unsupported(const json::Value& v) {
  RETORT_TRY(const std::string act, v.string_at("hidden_act", "silu"));
  if (act != "silu") {
    return base::bad_input("the activation \"" + act + "\" is not supported", "hidden_act",
                           "use a model with silu");
  }
  for (const char* key : {"attention_bias", "mlp_bias"}) {
    RETORT_TRY(const bool bias, v.bool_at(key, false));
    if (bias) {
      return base::bad_input(fmt::format("{} is not supported", key), key,
                             "use a model without biases, or a Qwen2");
    }
  }
  const json::Value* layers = v.find("layer_types");
  if (layers == nullptr || !layers->is_array()) return {};
  for (const json::Value& layer : layers->as_array()) {
    const bool known = layer.is_string() && (layer.as_string() == "full_attention" ||
                                             layer.as_string() == "sliding_attention");
    if (!known) {
      return base::bad_input("layers of type " + json::dump(layer) + " are not supported",
                             "layer_types", "use a model of full attention");
    }
  }
  return {};
}

// Within a window's length it hides nothing: positions end there, and full attention is exact.
Result<int64_t> positions_within_window(const json::Value& v, const Type& type, int64_t positions) {
  constexpr int64_t kUnstated = 4096;  // transformers' default for all that have windows
  const bool mistral = std::string_view(type.name) == "mistral";
  const bool qwen = std::string_view(type.name).starts_with("qwen");
  RETORT_TRY(const bool used, v.bool_at("use_sliding_window", false));
  if (!mistral && !(qwen && used)) return positions;
  const json::Value* window = v.find("sliding_window");
  if (window != nullptr && window->is_null()) return positions;
  RETORT_TRY(const int64_t length, v.int_at("sliding_window", kUnstated));
  return std::min(positions, length);
}

}  // namespace

Result<Config> config_from_hf(const json::Value& v) {
  if (!v.is_object()) return base::bad_input("config.json is not an object");
  RETORT_TRY(const Type type, type_of(v));
  RETORT_TRY_VOID(refuse_unsupported(v));
  Config c;
  c.qkv_bias = std::string_view(type.name) == "qwen2";
  c.qk_norm = std::string_view(type.name) == "qwen3";
  RETORT_TRY(c.vocab, v.int_at("vocab_size"));
  RETORT_TRY(c.width, v.int_at("hidden_size"));
  RETORT_TRY(c.layers, v.int_at("num_hidden_layers"));
  RETORT_TRY(c.heads, v.int_at("num_attention_heads"));
  RETORT_TRY(c.kv_heads, v.int_at("num_key_value_heads", c.heads));
  // Qwen3's heads have a size of their own; elsewhere an unstated one is a share of the width.
  const int64_t unstated = c.qk_norm ? 128 : c.heads > 0 ? c.width / c.heads : 0;
  RETORT_TRY(c.head_dim, v.int_at("head_dim", unstated));
  RETORT_TRY(c.ffn, v.int_at("intermediate_size"));
  RETORT_TRY(c.max_positions, v.int_at("max_position_embeddings", 2048));
  RETORT_TRY(c.max_positions, positions_within_window(v, type, c.max_positions));
  RETORT_TRY(c.norm_eps, v.number_at("rms_norm_eps", 1e-6));
  RETORT_TRY(c.tied_embeddings, v.bool_at("tie_word_embeddings", false));
  RETORT_TRY(c.rope_theta, rope_theta_from_hf(v));
  RETORT_TRY_VOID(validate(c));
  RETORT_TRY(c.rope_divisors, rope_divisors_from_hf(v, c.head_dim, c.rope_theta));
  RETORT_TRY_VOID(validate(c));
  return c;
}

json::Value config_to_hf(const Config& c, int64_t bos, int64_t eos, int64_t pad) {
  const Type& type = *find_type(c.family());
  json::Value out = json::Value::object({
      {"architectures", json::Value::array({type.architecture})},
      {"model_type", type.name},
      {"vocab_size", c.vocab},
      {"hidden_size", c.width},
      {"intermediate_size", c.ffn},
      {"num_hidden_layers", c.layers},
      {"num_attention_heads", c.heads},
      {"num_key_value_heads", c.kv_heads},
      {"head_dim", c.head_dim},
      {"max_position_embeddings", c.max_positions},
      {"rms_norm_eps", c.norm_eps},
      {"rope_theta", c.rope_theta},
      {"rope_scaling", rope_scaling_to_hf(c.rope_divisors, c.rope_theta, c.max_positions)},
      {"hidden_act", "silu"},
      {"attention_dropout", 0.0},
      {"initializer_range", 0.02},
      {"tie_word_embeddings", c.tied_embeddings},
      {"use_cache", true},
      {"torch_dtype", "float32"},
      {"bos_token_id", bos},
      {"eos_token_id", eos},
      {"pad_token_id", pad},
  });
  if (c.qkv_bias || c.qk_norm) {
    out.set("use_sliding_window", false);
    out.set("sliding_window", nullptr);
    out.set("max_window_layers", c.layers);
  } else {
    out.set("mlp_bias", false);
  }
  if (!c.qkv_bias) out.set("attention_bias", false);
  return out;
}

}  // namespace retort::model
