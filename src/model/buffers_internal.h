// The memory of a network: one block, laid out by one function that also only counts.
#pragma once
#include <cstdint>
#include <type_traits>
#include <vector>

#include "kernels/matmul.h"
#include "model/network.h"

namespace retort::model {

// Hands out aligned pieces of a block; without a block it counts the bytes that would be needed.
class Arena {
 public:
  explicit Arena(uint8_t* memory) : memory_(memory) {}
  template <class T>
  T* take(int64_t count) {
    constexpr int64_t kAlign = 64;
    const int64_t start = bytes_;
    bytes_ += (count * static_cast<int64_t>(sizeof(T)) + kAlign - 1) / kAlign * kAlign;
    return memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + start);
  }
  int64_t bytes() const { return bytes_; }

 private:
  uint8_t* memory_;
  int64_t bytes_ = 0;
};

// What a block keeps for its backward pass. T is the type of the operands of matrix products.
template <class T>
struct LayerBuffers {
  float* x_in = nullptr;     // [N, C] residual stream at the block's start
  float* rstd_in = nullptr;  // [N]
  T* normed_in = nullptr;    // [N, C]
  T* qkv = nullptr;          // [N, (H + 2 KV) D], with biases, before the norm of heads
  T* attended = nullptr;     // [N, H D]
  float* lse = nullptr;      // [N, H]
  float* x_mid = nullptr;    // [N, C] residual stream between attention and the inner layer
  float* rstd_mid = nullptr;
  T* normed_mid = nullptr;  // [N, C]
  T* gate_up = nullptr;     // [N, 2F]
};

template <class T>
struct Buffers {
  static constexpr bool kRounded = !std::is_same_v<T, float>;

  // All the same memory where nothing is kept for backward, or but for x_in where it is made again.
  std::vector<LayerBuffers<T>> layers;
  float* x_final = nullptr;  // [N, C]
  float* rstd_final = nullptr;
  T* normed_final = nullptr;  // [N, C]
  float* delta = nullptr;     // [N, C] what a half block adds to the residual stream
  T* act = nullptr;           // [N, F]
  // Where heads are normalised, of the block in hand: otherwise null.
  T* qkv_normed = nullptr;                     // [N, (H + 2 KV) D]
  float *rstd_q = nullptr, *rstd_k = nullptr;  // [N, H], [N, KV]

  float* dresidual = nullptr;  // [N, C] gradient of the residual stream
  T* dresidual_t = nullptr;    // the same for products; itself where T is float
  float* dnormed = nullptr;    // [N, C]
  T* dact = nullptr;           // [N, F]
  T* dattended = nullptr;      // [N, H D]
  T* dqkv = nullptr;           // [N, (H + 2 KV) D]
  float* norm_scratch = nullptr;

  int64_t head_rows = 0;      // of logits at once
  T* head_in = nullptr;       // [head_rows, C]
  float* logits = nullptr;    // [head_rows, V]
  T* dlogits = nullptr;       // itself where T is float
  float* dhead_in = nullptr;  // [head_rows, C]
  float* nll = nullptr;       // [N], of counted rows in their order, as the next two
  float* loss = nullptr;
  float* divergence = nullptr;

  float* attention_scratch = nullptr;
  int64_t attention_scratch_size = 0;
  T* weights = nullptr;  // all weights rounded; null where T is float

  Buffers(Arena& arena, const Config& config, int64_t tokens, Use use);

 private:
  void lay_out_backward(Arena& arena, const Config& config, int64_t tokens);
};

// Rows of logits at once, for a batch of so many tokens.
int64_t head_rows_for(int64_t vocab, int64_t tokens);

}  // namespace retort::model
