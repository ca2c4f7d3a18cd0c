#include "model/config.h"

#include <fmt/core.h>

#include <cmath>

#include "model/weights.h"

namespace retort::model {
namespace {

constexpr int64_t kMaxDimension = int64_t{1} << 24;

Result<void> require(bool condition, std::string_view what, std::string value) {
  if (condition) return {};
  return base::bad_input(fmt::format("the model's {} cannot be {}", what, value), "",
                         "check the model's configuration");
}

// Settings that would change the arithmetic in a way that is not built.
Result<void> refuse_unsupported(const json::Value& v) {
  if (const json::Value* names = v.find("architectures"); names != nullptr && names->is_array()) {
    for (const json::Value& name : names->as_array()) {
      if (name.is_string() && name.as_string() == "LlamaForCausalLM") continue;
      return base::bad_input("the architecture " + json::dump(name) + " is not supported",
                             "architectures", "use a LlamaForCausalLM model");
    }
  }
  RETORT_TRY(const std::string type, v.string_at("model_type", "llama"));
  if (type != "llama") {
    return base::bad_input("the model type \"" + type + "\" is not supported", "model_type",
                           "use a model of type llama");
  }
  RETORT_TRY(const std::string act, v.string_at("hidden_act", "silu"));
  if (act != "silu") {
    return base::bad_input("the activation \"" + act + "\" is not supported", "hidden_act",
                           "use a model with silu");
  }
  for (const char* key : {"attention_bias", "mlp_bias"}) {
    RETORT_TRY(const bool bias, v.bool_at(key, false));
    if (bias) {
      return base::bad_input(fmt::format("{} is not supported", key), key,
                             "use a model without biases");
    }
  }
  return {};
}

// transformers 4 writes rope_theta and rope_scaling, 5 writes rope_parameters.
Result<double> rope_theta_of(const json::Value& v) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const json::Value* scaling = v.find(key);
    if (scaling == nullptr || !scaling->is_object()) continue;
    RETORT_TRY(const std::string older, scaling->string_at("type", "default"));
    RETORT_TRY(const std::string type, scaling->string_at("rope_type", older));
    if (type != "default") {
      return base::bad_input("the rope scaling \"" + type + "\" is not supported", key,
                             "use a model without rope scaling");
    }
    if (scaling->find("rope_theta") != nullptr) return scaling->number_at("rope_theta");
  }
  return v.number_at("rope_theta", 10000.0);
}

}  // namespace

int64_t Config::parameters() const {
  int64_t total = 0;
  for (const TensorInfo& tensor : tensor_list(*this)) total += tensor.size();
  return total;
}

double Config::training_flops_per_token(int64_t context) const {
  const auto block = static_cast<double>(width * (2 * q_width() + 2 * kv_width() + 3 * ffn));
  const auto scores = static_cast<double>(q_width() * (context + 1));  // the causal half, twice
  const double forward =
      2 * (static_cast<double>(layers) * (block + scores) + static_cast<double>(width * vocab));
  return 3 * forward;
}

Result<void> validate(const Config& c) {
  const auto dimension = [](int64_t n) { return n > 0 && n <= kMaxDimension; };
  RETORT_TRY_VOID(require(dimension(c.vocab), "vocabulary size", std::to_string(c.vocab)));
  RETORT_TRY_VOID(require(dimension(c.width), "width", std::to_string(c.width)));
  RETORT_TRY_VOID(
      require(c.layers > 0 && c.layers <= 4096, "number of layers", std::to_string(c.layers)));
  RETORT_TRY_VOID(
      require(c.heads > 0 && c.heads <= 65536, "number of heads", std::to_string(c.heads)));
  RETORT_TRY_VOID(require(c.kv_heads > 0 && c.heads % c.kv_heads == 0,
                          fmt::format("number of key-value heads (of {} heads)", c.heads),
                          std::to_string(c.kv_heads)));
  RETORT_TRY_VOID(require(c.head_dim > 0 && c.head_dim % 2 == 0 && c.head_dim <= 4096, "head size",
                          std::to_string(c.head_dim)));
  RETORT_TRY_VOID(require(dimension(c.ffn), "inner width", std::to_string(c.ffn)));
  RETORT_TRY_VOID(
      require(dimension(c.max_positions), "number of positions", std::to_string(c.max_positions)));
  RETORT_TRY_VOID(require(std::isfinite(c.rope_theta) && c.rope_theta > 1, "rope_theta",
                          std::to_string(c.rope_theta)));
  RETORT_TRY_VOID(
      require(c.norm_eps > 0 && c.norm_eps < 1, "norm epsilon", std::to_string(c.norm_eps)));
  // Every factor is bounded above, so these products fit a double exactly enough.
  const double per_layer = static_cast<double>(c.width) *
                           static_cast<double>(2 * (c.heads + c.kv_heads) * c.head_dim + 3 * c.ffn);
  const double total = per_layer * static_cast<double>(c.layers) +
                       2 * static_cast<double>(c.vocab) * static_cast<double>(c.width);
  return require(total < 1e12, "number of parameters", fmt::format("{:.3g}", total));
}

Result<Config> config_from_hf(const json::Value& v) {
  if (!v.is_object()) return base::bad_input("config.json is not an object");
  RETORT_TRY_VOID(refuse_unsupported(v));
  Config c;
  RETORT_TRY(c.vocab, v.int_at("vocab_size"));
  RETORT_TRY(c.width, v.int_at("hidden_size"));
  RETORT_TRY(c.layers, v.int_at("num_hidden_layers"));
  RETORT_TRY(c.heads, v.int_at("num_attention_heads"));
  RETORT_TRY(c.kv_heads, v.int_at("num_key_value_heads", c.heads));
  RETORT_TRY(c.head_dim, v.int_at("head_dim", c.heads > 0 ? c.width / c.heads : 0));
  RETORT_TRY(c.ffn, v.int_at("intermediate_size"));
  RETORT_TRY(c.max_positions, v.int_at("max_position_embeddings", 2048));
  RETORT_TRY(c.norm_eps, v.number_at("rms_norm_eps", 1e-6));
  RETORT_TRY(c.tied_embeddings, v.bool_at("tie_word_embeddings", false));
  RETORT_TRY(c.rope_theta, rope_theta_of(v));
  RETORT_TRY_VOID(validate(c));
  return c;
}

json::Value config_to_hf(const Config& c, int64_t bos, int64_t eos, int64_t pad) {
  return json::Value::object({
      {"architectures", json::Value::array({"LlamaForCausalLM"})},
      {"model_type", "llama"},
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
      {"rope_scaling", nullptr},
      {"hidden_act", "silu"},
      {"attention_bias", false},
      {"attention_dropout", 0.0},
      {"mlp_bias", false},
      {"initializer_range", 0.02},
      {"tie_word_embeddings", c.tied_embeddings},
      {"use_cache", true},
      {"torch_dtype", "float32"},
      {"bos_token_id", bos},
      {"eos_token_id", eos},
      {"pad_token_id", pad},
  });
}

}  // namespace retort::model
