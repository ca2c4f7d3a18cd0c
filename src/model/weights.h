// The weights of a model as fp32 in one contiguous block, each tensor a row-major matrix
// [out, in] (or a vector), named as Hugging Face names them. The one list of tensors serves
// allocation, files, optimizer and checkpoint alike.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/config.h"

namespace retort::model {

struct TensorInfo {
  std::string name;    // "model.layers.0.self_attn.q_proj.weight"
  int64_t rows = 0;    // out features; 1 for a vector
  int64_t cols = 0;    // in features
  int64_t offset = 0;  // of the first element in the block
  bool is_vector = false;
  int64_t size() const { return rows * cols; }
};

// In the order of the forward pass: embeddings, layers, final norm, lm_head unless tied.
std::vector<TensorInfo> tensor_list(const Config& config);

class Weights {
 public:
  explicit Weights(const Config& config);  // zeros
  // Normal(0, 0.02), residual projections scaled by 1/sqrt(2 * layers), norms 1, biases 0: a
  // function of seed.
  static Weights random(const Config& config, uint64_t seed);

  const Config& config() const { return config_; }
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  std::span<float> block() { return block_; }
  std::span<const float> block() const { return block_; }
  // The tensor's elements; an unknown name is a programmer's mistake.
  std::span<float> tensor(std::string_view name);
  std::span<const float> tensor(std::string_view name) const;

 private:
  Config config_;
  std::vector<TensorInfo> tensors_;
  std::vector<float> block_;
};

class ModelFile;
// All tensors as fp32.
Result<Weights> load_weights(const ModelFile& file);
// A Hugging Face folder (config.json, model.safetensors or an index; F32, F16, BF16), or a GGUF,
// dequantised, with llama.cpp's row permutation of a llama's q and k undone.
Result<Weights> load_weights(const std::string& path);

}  // namespace retort::model
