// For the room's tests: a small tokenizer, lively random weights, and files of every type.
#pragma once
#include <functional>
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

// Whose rows are whole blocks of the type.
SmallModel small_model_for(artifact::TensorType type, uint64_t seed);

// Writes the weights as a GGUF file whose matrices are of this type; returns what the file holds.
// Types that are only read get matrices of random codes instead, and widths of whole blocks.
model::Weights write_gguf(const model::Weights& weights, artifact::TensorType type,
                          const std::string& path);
// A type for each matrix.
using TypeOf = std::function<artifact::TensorType(const model::TensorInfo& info)>;
model::Weights write_mixed_gguf(const model::Weights& weights, const TypeOf& type_of,
                                const std::string& path);
// Types of 32 and of 256 elements a block, of 16 bits and of 32: another one for each matrix.
artifact::TensorType some_type(const model::TensorInfo& info);

}  // namespace retort::engine
