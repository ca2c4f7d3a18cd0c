// Many tokens of one or more sequences at once, by dense matrix products: prompts and scoring. A
// token's results depend on the tokens before it alone, not on how prompts are cut into chunks nor
// on what else is in the batch.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/adapters_internal.h"
#include "engine/kv_pool_internal.h"
#include "engine/weights_internal.h"
#include "kernels/rope.h"

namespace retort::engine {

// Neighbouring positions of one sequence.
struct PrefillPart {
  std::span<const tokenizer::TokenId> tokens;
  int64_t first_position = 0;
  const PageId* pages = nullptr;
  const EngineAdapter* adapter = nullptr;
};

class Prefill {
 public:
  virtual ~Prefill() = default;
  // The parts' tokens together are at most tokens_max.
  virtual void run(std::span<const PrefillPart> parts) = 0;
  // [tokens, C] of the last run, before the last norm.
  virtual const float* residual() const = 0;
  // Logits [rows, V] of tokens [first, first + rows) of the last run, at most kScoreRows.
  virtual void logits(int64_t first, int64_t rows, float* to) = 0;
  virtual int64_t memory_bytes() const = 0;

  static constexpr int64_t kScoreRows = 64;
  static std::unique_ptr<Prefill> create(EngineWeights& weights, KvPool& pool,
                                         const kernels::RopeTable& rope, int64_t tokens_max);
};

}  // namespace retort::engine
