// Objectives whose gradient is that of cross-entropy with weights (model::RowWeigher). p is the
// student's probability of a token as it is now.
//
// Sampled reverse KL. A token y that was drawn from d (the student when it answered) has the weight
//     c (log q(y) - log p(y) - b),   c = min(p(y) / d(y), 2)
// that is, REINFORCE with a reward a token and no credit for later tokens (Schulman et al. 2015,
// "Gradient estimation using stochastic computation graphs"; on-policy distillation, Thinking
// Machines Lab 2025). Where c is not cut, the expectation over y of its gradient is that of
// KL(p || q) at this place, exactly, since the mean of grad log p is 0: for y drawn from p itself c
// is 1, for answers that are learnt from again it is the importance weight, cut as in V-trace
// (Espeholt et al. 2018, arXiv 1802.01561). Nothing that does not depend on y changes the
// expectation: neither the baseline b, the mean of log q - log d over the other answers of the step
// (leave one out: Kool et al. 2019; Ahmadian et al. 2024, arXiv 2402.14740), which lowers the
// variance, nor what a teacher's log q is off by where a student has a part of its tokens.
//
// Preference (DPO, Rafailov et al. 2023, arXiv 2305.18290, equation 7). A batch's documents are
// pairs, the chosen one first. With m = (c - c0) - (r - r0), of the sums of log-probabilities of
// the chosen and the rejected answer, and the same under the student's first weights,
//     loss = -(1 - e) log s(b m) - e log s(-b m),   s(x) = 1 / (1 + exp(-x))
// a pair. Sums, not means: a longer answer moves more. e is the share of pairs that may be the
// wrong way round (conservative DPO, Mitchell 2023; label_smoothing in TRL).
#pragma once
#include "model/network.h"

namespace retort::train {

class SampledReverseKl final : public model::RowWeigher {
 public:
  static constexpr float kMostRatio = 2;
  Loss weigh(const model::Batch& batch, std::span<const int32_t> rows, std::span<const float> nll,
             std::span<float> weights) override;
};

class Preference final : public model::RowWeigher {
 public:
  Preference(double beta, double smoothing) : beta_(beta), smoothing_(smoothing) {}
  Loss weigh(const model::Batch& batch, std::span<const int32_t> rows, std::span<const float> nll,
             std::span<float> weights) override;

 private:
  double beta_, smoothing_;
};

}  // namespace retort::train
