// The forward and backward passes for one type of product operands. Each is a list of calls:
// pass.cc holds the blocks, head.cc the logits and the loss.
#pragma once
#include <span>
#include <vector>

#include "kernels/attention.h"
#include "kernels/rope.h"
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
  virtual void backward(const Batch& batch, float* gradients) = 0;
  virtual void logits(int64_t tokens, float* out) = 0;
  virtual const float* nll() const = 0;
};

template <class T>
class Pass final : public Runner {
 public:
  Pass(const Weights& weights, int64_t max_tokens);
  static int64_t memory_bytes(const Config& config, int64_t max_tokens);

  void refresh() override;
  void observe(Observer observer) override { observer_ = std::move(observer); }
  void forward(const Batch& batch) override;
  LossSum head(const Batch& batch, float scale, float* gradients) override;
  void backward(const Batch& batch, float* gradients) override;
  void logits(int64_t tokens, float* out) override;
  const float* nll() const override { return buffers_.nll; }

 private:
  void forward_block(int64_t index, const float* x);
  void backward_block(int64_t index, float* gradients);
  // What the observer sees once a block is done, and once all are.
  void show_block(int64_t index);
  void show_end();
  void head_gradients(std::span<const int32_t> rows, float* gradients);
  // Queries, keys and values as attention reads them; made anew for backward, not kept.
  const float* ready_qkv(int64_t index);
  void ready_qkv_backward(int64_t index, float* gradients);
  kernels::AttentionShape attention_shape() const;
  std::span<float> attention_scratch() const;
  const float* vector(int64_t offset) const { return weights_.block().data() + offset; }
  const T* matrix(int64_t offset) const;
  // dx = dy W and dW += dy^T x for one product of the forward pass, y = x W^T.
  struct Linear {
    int64_t out, in, offset;
    const T* x;
    const T* dy;
    float* dx;
  };
  void linear(const T* x, int64_t out, int64_t in, int64_t offset, float* y);
  void linear_backward(const Linear& l, float* gradients);

  const Weights& weights_;
  const Config config_;
  const Offsets offsets_;
  kernels::RopeTable rope_;
  tensor::Buffer<uint8_t> memory_;
  Arena arena_;
  Buffers<T> buffers_;
  int64_t tokens_ = 0;  // of the batch in hand
  std::span<const int32_t> doc_starts_;
  std::vector<int32_t> counted_;  // rows whose target counts, and their targets
  std::vector<int32_t> targets_;
  Observer observer_;
};

}  // namespace retort::model
