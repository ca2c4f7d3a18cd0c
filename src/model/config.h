// The shape of a decoder-only transformer of the Llama family: RMSNorm, rotary positions,
// grouped-query attention, SwiGLU, optionally tied embeddings; and what Qwen2 and Qwen3 add to it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "json/value.h"

namespace retort::model {

struct Config {
  int64_t vocab = 0;
  int64_t width = 0;  // C, channels of the residual stream
  int64_t layers = 0;
  int64_t heads = 0;     // H, query heads
  int64_t kv_heads = 0;  // divides heads
  int64_t head_dim = 0;  // D, even; H * D need not be C
  int64_t ffn = 0;       // F, inner width of the SwiGLU
  int64_t max_positions = 2048;
  double rope_theta = 10000;
  double norm_eps = 1e-5;
  bool tied_embeddings = true;
  bool qkv_bias = false;  // Qwen2: queries, keys and values have biases, their output none
  bool qk_norm = false;   // Qwen3: RMSNorm of each query's and key's head before it is turned
  // [D / 2], by which each frequency of the rotation is divided (rope_scaling.h); empty: none is.
  std::vector<float> rope_divisors = {};

  int64_t q_width() const { return heads * head_dim; }
  int64_t kv_width() const { return kv_heads * head_dim; }
  int64_t qkv_width() const { return q_width() + 2 * kv_width(); }
  int64_t parameters() const;
  // "llama", "qwen2" or "qwen3": Hugging Face's model_type and GGUF's architecture.
  const char* family() const;
  // Floating point operations of forward and backward for one token at context length `context`.
  double training_flops_per_token(int64_t context) const;
  bool operator==(const Config&) const = default;
};

// Refuses shapes that cannot be (zero, heads not a multiple of kv_heads, odd head_dim, absurd
// sizes, biases together with head norms).
Result<void> validate(const Config& config);

// Hugging Face config.json of types llama, mistral, qwen2 and qwen3, both ways; a mistral is
// written as the llama that it is. Settings that are not built (other biases, other kinds of rope
// scaling, another type or activation) are refused by name. Attention sees no further than a
// sliding window, so positions end where the window does.
Result<Config> config_from_hf(const json::Value& config_json);
json::Value config_to_hf(const Config& config, int64_t bos, int64_t eos, int64_t pad);

}  // namespace retort::model
