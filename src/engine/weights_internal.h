// A model's weights in the two forms that the engine computes with: packed as their file holds
// them, for decoding, and dense [out, in] matrices for the products of many rows, made when first
// needed.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernels/packed_matrix.h"
#include "model/model_file.h"
#include "model/weights.h"
#include "tensor/buffer.h"
#include "tensor/half.h"

namespace retort::engine {

using tensor::Bf16;

// Matrices that read the same input, one after another in the output.
using PackedGroup = std::vector<kernels::PackedMatrix>;

struct PackedLayer {
  std::vector<float> norm_in, norm_mid;
  std::vector<float> qkv_bias;        // [(H + 2 KV) D]; empty where the model has none
  std::vector<float> q_norm, k_norm;  // [D], likewise
  PackedGroup qkv;                    // query, key, value
  PackedGroup out;
  PackedGroup gate;
  PackedGroup up;
  PackedGroup down;
};

// T: float or Bf16. Rows of query, key and value stand one below another, as do gate and up.
template <class T>
struct DenseLayer {
  tensor::Buffer<T> qkv, out, gate_up, down;
};

// Where the packed form comes from; kept for making the dense one.
class Source {
 public:
  virtual ~Source() = default;
  virtual const model::Config& config() const = 0;
  virtual kernels::PackedMatrix packed(const model::TensorInfo& info, bool exact) const = 0;
  // Rows [begin, end) as numbers.
  virtual void rows(const model::TensorInfo& info, int64_t begin, int64_t end, float* to) const = 0;
};
std::unique_ptr<Source> file_source(model::ModelFile file);
std::unique_ptr<Source> memory_source(const model::Weights& weights);

class EngineWeights {
 public:
  // `exact`: everything in fp32.
  EngineWeights(std::unique_ptr<Source> source, bool exact);

  const model::Config& config() const { return source_->config(); }
  const std::vector<PackedLayer>& layers() const { return layers_; }
  const std::vector<float>& final_norm() const { return final_norm_; }
  const kernels::PackedMatrix& embedding() const { return embedding_; }
  const PackedGroup& head() const { return head_; }  // the embedding's where they are tied

  // Computed in fp32: products, keys and values. Files often mix types: one matrix in a narrower
  // one than fp32 is enough for the faster ways.
  bool numbers() const { return numbers_; }
  // Whether a product reads the sums of half blocks.
  bool half_sums() const { return half_sums_; }
  // Whether products of many rows take bf16 or fp32.
  bool dense_bf16() const { return dense_bf16_; }
  template <class T>
  const std::vector<DenseLayer<T>>& dense_layers();
  template <class T>
  const tensor::Buffer<T>& dense_head();

  // Of both forms, the dense one counted whether it has been made or not.
  int64_t memory_bytes() const;

 private:
  void each_packed(const std::function<void(const kernels::PackedMatrix&)>& visit) const;
  kernels::PackedMatrix take(const std::string& name);
  std::vector<float> take_vector(const std::string& name) const;
  void take_head_vectors(size_t index, PackedLayer& layer) const;
  template <class T>
  tensor::Buffer<T> dense(const std::vector<std::string>& names) const;

  std::unique_ptr<Source> source_;
  std::vector<model::TensorInfo> tensors_;
  bool exact_;
  bool numbers_ = true;
  bool half_sums_ = false;
  bool dense_bf16_ = false;
  std::vector<PackedLayer> layers_;
  std::vector<float> final_norm_;
  kernels::PackedMatrix embedding_;
  PackedGroup head_;
  std::vector<DenseLayer<float>> dense_f32_;
  std::vector<DenseLayer<Bf16>> dense_bf16_layers_;
  tensor::Buffer<float> head_f32_;
  tensor::Buffer<Bf16> head_bf16_;
};

}  // namespace retort::engine
