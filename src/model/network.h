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

#include "model/lora.h"
#include "model/objective.h"
#include "model/weights.h"
#include "tensor/sparse_targets.h"

namespace retort::model {

enum class Precision {
  automatic,  // bf16 products where the processor has them, else fp32
  fp32,
  bf16,  // products of bf16 inputs summed in fp32; emulated where the processor has none
};

// How much of a forward pass is kept. For inference nothing: a thirtieth of the memory for thirty
// layers, and forward_backward() is a programmer's mistake. Recomputing, a network keeps each
// block's input alone and makes the rest again in its backward pass (Chen et al. 2016, arXiv
// 1604.06174): the same bytes, for most of one more forward pass.
enum class Use { training, recomputing, inference };

// Documents laid one after another. Attention never crosses a document; positions restart at 0.
struct Batch {
  std::vector<int32_t> tokens;      // N inputs
  std::vector<int32_t> targets;     // N: the id to predict after tokens[i]; -1 where no loss counts
  std::vector<int32_t> doc_starts;  // first token of each document, and N at the end
  std::vector<float> weights = {};  // N: each row's share in the loss, may be negative; empty: 1
  tensor::SparseTargets teacher = {};  // N rows, where an objective wants them
  std::vector<uint32_t> sources = {};  // which example each document is, for a LogitSource
  // For a RowWeigher, N or none: log-probabilities of the targets under another model, and under
  // the distribution that they were drawn from.
  std::vector<float> reference = {}, drawn = {};
  std::vector<float> baselines = {};  // what a RowWeigher expects, one a document
  // One a document: what is dropped in it, where a network drops anything; empty: nothing is.
  std::vector<uint64_t> dropout_seeds = {};
};

// Sums over counted targets, natural logarithms.
struct LossSum {
  double nll_sum = 0;
  double loss_sum = 0;        // the objective, with the rows' weights
  double divergence_sum = 0;  // from the teacher
  int64_t tokens = 0;         // targets counted
  int64_t units = 0;          // what the objective is a mean over: targets, or pairs of documents
  int64_t agreed = 0;         // units that a RowWeigher found as they should be

  void add(const LossSum& other) {
    nll_sum += other.nll_sum;
    loss_sum += other.loss_sum;
    divergence_sum += other.divergence_sum;
    tokens += other.tokens;
    units += other.units;
    agreed += other.agreed;
  }
  double nll() const { return nll_sum / static_cast<double>(tokens); }
  double loss() const { return loss_sum / static_cast<double>(units); }
  double agreement() const { return static_cast<double>(agreed) / static_cast<double>(units); }
  double divergence() const { return divergence_sum / static_cast<double>(tokens); }
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
  // Keeps references to `weights` and to the adapter where one is given; call refresh() after
  // they change. Buffers for up to max_tokens tokens are allocated here; memory_bytes() says how
  // much before.
  Network(const Weights& weights, int64_t max_tokens, Precision precision,
          const Adapter* adapter = nullptr, Use use = Use::training);
  ~Network();

  static int64_t memory_bytes(const Config& config, int64_t max_tokens, Precision precision,
                              const LoraConfig* lora = nullptr, Use use = Use::training);
  // Cross-entropy alone unless told otherwise. A teacher that is asked for logits takes memory for
  // a chunk of them: teacher_bytes() more than memory_bytes().
  void set_objective(const Objective& objective);
  static int64_t teacher_bytes(const Config& config, int64_t max_tokens);
  // The share of channels that are dropped of the embeddings and of what each half block adds to
  // the residual stream, in batches that bring seeds. Which ones is a function of the document's
  // seed and of the place in it. Takes dropout_bytes() of memory.
  void set_dropout(float rate);
  static int64_t dropout_bytes(const Config& config, int64_t max_tokens, Precision precision);
  Precision precision() const;  // what automatic became

  // With an adapter it alone may change: the weights are frozen.
  void refresh();
  // Called block by block in every later forward pass; the views end with the call. nullptr: no one
  // looks, which costs nothing.
  void observe(Observer observer);
  // Forward and backward of loss_sum * scale; adds to `gradients`, laid out as Weights::block(), or
  // with an adapter as Adapter::block(): then no other gradient is computed, and that of the
  // activations no further down than the lowest target.
  LossSum forward_backward(const Batch& batch, float scale, std::span<float> gradients);
  // Forward alone: summed loss, and when `nll` is not empty each target's nll there (N; 0 where
  // none).
  LossSum loss(const Batch& batch, std::span<float> nll = {});
  // Logits [N, V] of every position, for tests, scoring and the release gate.
  std::vector<float> logits(const Batch& batch);
  // Forward alone, after which logits [rows, V] of any rows of the batch may be asked for.
  void forward(const Batch& batch);
  void logits(std::span<const int32_t> rows, float* to);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace retort::model
