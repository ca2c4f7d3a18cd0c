// The training forward and backward of a model over packed documents. The forward pass is one list
// of calls a block, backward the same list reversed. One compute thread team; not thread-safe.
// Results are repeatable bit for bit for the same thread count.
//
// Letters: N tokens in the batch, C width, H heads, D head size, F inner width, V vocabulary.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "model/weights.h"

namespace retort::model {

enum class Precision {
  automatic,  // bf16 products where the processor has them, else fp32
  fp32,
  bf16,  // products of bf16 inputs summed in fp32; emulated where the processor has none
};

// Documents laid one after another. Attention never crosses a document; positions restart at 0.
struct Batch {
  std::vector<int32_t> tokens;      // N inputs
  std::vector<int32_t> targets;     // N: the id to predict after tokens[i]; -1 where no loss counts
  std::vector<int32_t> doc_starts;  // first token of each document, and N at the end
};

struct LossSum {
  double nll_sum = 0;  // natural log, summed over counted targets
  int64_t tokens = 0;  // targets counted
};

// What a forward pass shows of one block, a row for each token of the batch, in fp32. The last view
// of a pass, numbered one past the last block, has `input` and `normed_in` alone: the output of all
// blocks and what the head reads of it.
struct BlockView {
  int64_t block = 0;
  std::span<const float> input;       // [N, C] residual stream at the block's start
  std::span<const float> normed_in;   // [N, C] what attention reads
  std::span<const float> attended;    // [N, H D] the heads' outputs side by side
  std::span<const float> normed_mid;  // [N, C] what the inner layer reads
  std::span<const float> inner;       // [N, F] silu(gate) * up
};
using Observer = std::function<void(const BlockView&)>;

class Network {
 public:
  // Keeps a reference to `weights`; call refresh() after they change. Buffers for up to max_tokens
  // tokens are allocated here; memory_bytes() says how much before.
  Network(const Weights& weights, int64_t max_tokens, Precision precision);
  ~Network();

  static int64_t memory_bytes(const Config& config, int64_t max_tokens, Precision precision);
  Precision precision() const;  // what automatic became

  void refresh();
  // Called block by block in every later forward pass; the views end with the call. nullptr: no one
  // looks, which costs nothing.
  void observe(Observer observer);
  // Forward and backward of sum(nll) * scale; adds to `gradients`, laid out as Weights::block().
  LossSum forward_backward(const Batch& batch, float scale, std::span<float> gradients);
  // Forward alone: summed loss, and when `nll` is not empty each target's loss there (N; 0 where
  // none).
  LossSum loss(const Batch& batch, std::span<float> nll = {});
  // Logits [N, V] of every position, for tests, scoring and the release gate.
  std::vector<float> logits(const Batch& batch);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace retort::model
