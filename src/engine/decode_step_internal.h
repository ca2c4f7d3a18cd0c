// One token for each of several sequences, by packed weights: the whole step runs inside one thread
// team, the work between two barriers cut by output tiles, rows or (row, head) pairs.
#pragma once
#include <cstdint>
#include <span>

#include "base/parallel.h"
#include "engine/adapters_internal.h"
#include "engine/kv_pool_internal.h"
#include "engine/weights_internal.h"
#include "kernels/decode.h"
#include "kernels/rope.h"

namespace retort::engine {

struct DecodeRow {
  tokenizer::TokenId token = 0;
  int64_t position = 0;           // of the token
  const PageId* pages = nullptr;  // cover `position`
  const EngineAdapter* adapter = nullptr;
};

class DecodeStep {
 public:
  DecodeStep(const EngineWeights& weights, KvPool& pool, const kernels::RopeTable& rope,
             int64_t rows_max, int64_t rank_max);

  // Logits [rows, V] stand in logits() until the next call.
  void run(std::span<const DecodeRow> rows);
  // Logits of rows that were computed elsewhere, [rows, C] before the last norm: the head's product
  // is the same for whoever asks.
  void head(const float* residual, int64_t rows);
  const float* logits() const { return logits_.data(); }
  int64_t rows_max() const { return rows_max_; }
  int64_t memory_bytes() const;

 private:
  struct Team;  // one thread's view of a running step
  void run_layer(Team& team, int64_t index);
  void attend(Team& team, int64_t layer);
  // What the rows' adapters add to a projection's output; nothing without an adapter. All that the
  // projection's product and its input need is done, and everything is done when it returns.
  struct Adapted {
    model::Projection projection;
    float* x;
    int64_t in;
    float* y;
    int64_t ld_y;
  };
  void add_adapters(Team& team, int64_t layer, std::initializer_list<Adapted> projections);
  void run_head(Team& team);
  // What a product reads, with room for its codes.
  kernels::Rows input(int64_t columns, float* values);

  const EngineWeights& weights_;
  const model::Config& config_;
  KvPool& pool_;
  const kernels::RopeTable& rope_;
  int64_t rows_max_;
  std::span<const DecodeRow> rows_;
  int64_t count_ = 0;
  int64_t adapted_ = 0;  // rows with an adapter
  int64_t rank_max_;

  tensor::Buffer<float> residual_;    // [rows, C]
  tensor::Buffer<float> normed_;      // [rows, C]
  tensor::Buffer<float> qkv_;         // [rows, (H + 2 KV) D]
  tensor::Buffer<float> attended_;    // [rows, H D]
  tensor::Buffer<float> gate_, act_;  // [rows, F]
  tensor::Buffer<float> logits_;      // [rows, V]
  tensor::Buffer<int8_t> codes_;      // of the widest input
  tensor::Buffer<float> scales_, sums_, half_sums_;
  tensor::Buffer<float> scratch_;  // of attention and adapters, a piece a thread
  int64_t scratch_stride_ = 0;
};

}  // namespace retort::engine
