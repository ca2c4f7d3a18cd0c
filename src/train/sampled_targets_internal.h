// A teacher's distributions kept as ids that are drawn from them: random sampling knowledge
// distillation (Anshumann et al. 2025, "Sparse Logit Sampling", arXiv 2503.16870). Of n draws from
// q an id that came up k times has the target k / n, whose expectation is q: the gradient of the
// forward KL, p - q, is linear in q, so its expectation is that of the whole distribution, whatever
// n is. The likeliest ids alone have no such expectation. Private to the room.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "model/objective.h"
#include "tensor/sparse_targets.h"
#include "train/examples.h"

namespace retort::train {

// Appends one row: the ids that `draws` draws from softmax(logits) gave, ascending, with the
// logarithms of their shares. `cumulative` is scratch memory.
void draw_targets(std::span<const float> logits, int64_t draws, base::Random& random,
                  std::vector<double>& cumulative, tensor::SparseTargets& to);

struct Drawing {
  int64_t vocab = 0;  // of the logits
  int64_t draws = 50;
  uint64_t seed = 1;
  int64_t batch_tokens = 0;  // asked at once
};
// What the teacher says at the trained tokens of these rows, a function of its logits, the seed and
// the row's key alone. Ctrl-C ends it.
Result<void> draw_targets(model::LogitSource& teacher, const Drawing& drawing,
                          std::vector<Example>& rows);

}  // namespace retort::train
