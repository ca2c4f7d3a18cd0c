// The forward and backward passes for one type of product operands. Each is a list of calls:
// pass.cc holds the blocks, head.cc the logits and the loss.
#pragma once
#include <array>
#include <optional>
#include <span>
#include <vector>

#include "kernels/attention.h"
#include "kernels/rope.h"
#include "model/adapter_pass_internal.h"
#include "model/buffers_internal.h"
#include "model/network.h"
#include "tensor/buffer.h"

namespace retort::model {

// Offsets of a block's tensors in the weights' block; query, key and value are one matrix, gate
// and up another.
struct LayerOffsets {
  int64_t norm_in, qkv, out, norm_mid, gate_up, down;
  int64_t qkv_bias, q_norm, k_norm;  // where the configuration has them
};

struct Offsets {
  int64_t embedding = 0;
  int64_t final_norm = 0;
  int64_t head = 0;  // the embedding's where they are tied
  std::vector<LayerOffsets> layers;
};
Offsets offsets_of(const Config& config);

// The two precisions behind one interface.
class Runner {
 public:
  virtual ~Runner() = default;
  virtual void refresh() = 0;
  virtual void observe(Observer observer) = 0;
  virtual void forward(const Batch& batch) = 0;
  // After forward. Losses of counted rows stand in nll(); with `gradients` the gradient of the
  // head is added there and that of the last norm's output is left for backward().
  virtual LossSum head(const Batch& batch, float scale, float* gradients) = 0;
  virtual void set_objective(const Objective& objective) = 0;
  virtual void set_dropout(float rate) = 0;
  virtual void backward(const Batch& batch, float* gradients) = 0;
  // Of any rows of the batch.
  virtual void logits(std::span<const int32_t> rows, float* out) = 0;
  virtual const float* nll() const = 0;
};

template <class T>
class Pass final : public Runner {
 public:
  Pass(const Weights& weights, int64_t max_tokens, const Adapter* adapter, Use use);
  static int64_t memory_bytes(const Config& config, int64_t max_tokens, const LoraConfig* lora,
                              Use use);

  void refresh() override;
  void observe(Observer observer) override { observer_ = std::move(observer); }
  void forward(const Batch& batch) override;
  LossSum head(const Batch& batch, float scale, float* gradients) override;
  void backward(const Batch& batch, float* gradients) override;
  void set_objective(const Objective& objective) override;
  void set_dropout(float rate) override;
  void logits(std::span<const int32_t> rows, float* out) override;
  const float* nll() const override { return buffers_.nll; }

 private:
  void round_weights();
  void find_matrices();
  void form_matrices();
  void forward_block(int64_t index, const float* x);
  // The part of it that its backward pass reads.
  void activate_block(int64_t index, const float* x);
  void backward_block(int64_t index, float* gradients);
  // The losses of all counted rows, and with `gradients` what they ask of the head.
  void counted_losses(const Batch& batch, float scale, float* gradients);
  // The loss of the counted rows [first, first + rows), whose logits stand in the buffer.
  void row_losses(const Batch& batch, int64_t first, int64_t rows, float scale, bool backward);
  // The last norm's outputs of these rows side by side.
  void gather_head_inputs(std::span<const int32_t> rows);
  void backward_attention(int64_t index, float* gradients);
  // What the observer sees once a block is done, and once all are.
  void show_block(int64_t index);
  void show_end();
  void head_gradients(std::span<const int32_t> rows, float* gradients);
  // Queries, keys and values as attention reads them; made anew for backward, not kept.
  const T* ready_qkv(int64_t index);
  void ready_qkv_backward(int64_t index, float* gradients);
  kernels::AttentionShape attention_shape() const;
  std::span<float> attention_scratch() const;
  const float* vector(int64_t offset) const { return weights_.block().data() + offset; }
  const T* matrix(int64_t offset) const;
  // Where the gradient of a vector of the weights goes; null where the weights are frozen.
  float* vector_gradient(float* gradients, int64_t offset) const {
    return adapter_ ? nullptr : gradients + offset;
  }
  // One product of the forward pass, y = x W^T.
  struct Matrix {
    typename AdapterPass<T>::Place place;
    FusedShape shape;
    int64_t offset = 0;
    const T* weights = nullptr;  // with what an adapter adds
  };
  const Matrix& at(int64_t layer, Fused fused) const { return matrices_[layer][fused]; }
  template <class To>
  void linear(const Matrix& m, const T* x, To* y);
  // dx = dy W
  template <class To>
  void input_gradient(const Matrix& m, const T* dy, To* dx);
  // dW += dy^T x, or what of it the adapter trains.
  void weight_gradient(const Matrix& m, const T* x, const T* dy, float* gradients);
  struct Normed {
    const float* x;
    const float* rstd;
    int64_t offset;  // of the norm's weight
  };
  void norm_backward(const Normed& normed, float* gradients);
  // Where something is dropped of what a block adds, or of the embeddings.
  enum Site : int64_t { kEmbedding, kAttention, kInner };
  void start_dropout(const Batch& batch);
  bool drops() const { return !row_seeds_.empty(); }
  template <class To>
  void drop(int64_t block, Site site, const To* x, To* y);
  void drop_delta(int64_t block, Site site);
  // The gradient of what was added to the residual stream there.
  const T* added_gradient(int64_t block, Site site);
  // Whether no gradient is asked for of what is computed before this matrix.
  bool is_lowest(const Matrix& m) const { return adapter_ && m.offset == lowest_; }

  const Weights& weights_;
  const Config config_;
  const int64_t max_tokens_;
  const Use use_;
  const Offsets offsets_;
  std::vector<std::array<Matrix, std::size(kAllFused)>> matrices_;
  int64_t lowest_ = -1;  // the offset of the first matrix that is a target
  kernels::RopeTable rope_;
  tensor::Buffer<uint8_t> memory_;
  Arena arena_;
  Buffers<T> buffers_;
  std::optional<AdapterPass<T>> adapter_;
  int64_t tokens_ = 0;  // of the batch in hand
  std::span<const int32_t> doc_starts_;
  std::vector<int32_t> counted_;  // rows whose target counts, and their targets
  std::vector<int32_t> targets_;
  std::vector<float> row_weights_;  // empty: all one
  Objective objective_;
  tensor::Buffer<float> teacher_logits_;  // [head_rows, V] where a teacher is asked for them
  Observer observer_;
  float dropout_rate_ = 0;
  std::vector<uint64_t> row_seeds_;  // [N] of a batch in which something is dropped; else empty
  std::vector<uint32_t> row_keys_;   // [N] of one site
  tensor::Buffer<T> dadded_;         // [N, C] where something is dropped
};

}  // namespace retort::model
