// For the room's tests: a small tokenizer, lively random weights, and files of every type.
#pragma once
#include <memory>
#include <string>

#include "artifact/tensor_type.h"
#include "model/weights.h"
#include "tokenizer/tokenizer.h"

namespace retort::engine {

// 256 bytes, a few merges, three special tokens at the end (<|im_end|> is the last).
std::shared_ptr<const tokenizer::Tokenizer> small_tokenizer();

struct SmallModel {
  bool tied = true;
  uint64_t seed = 1;
  int64_t width = 64, heads = 4, kv_heads = 2, head_dim = 16, ffn = 96;
  bool qkv_bias = false, qk_norm = false;
  bool stretched = false;  // the rotation, as Llama 3.1 does
};
model::Weights small_weights(const SmallModel& options = {});

// Writes the weights as a GGUF file whose matrices are of this type; returns what the file holds.
// Types that are only read get matrices of random codes instead, and widths of whole blocks.
model::Weights write_gguf(const model::Weights& weights, artifact::TensorType type,
                          const std::string& path);

}  // namespace retort::engine
