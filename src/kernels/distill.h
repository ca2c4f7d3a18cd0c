// The loss of rows of logits against a teacher's distributions, forward and backward in one; the
// hard term of cross_entropy.h may be mixed in. With p = softmax(logits / T), q the teacher's
// distribution at the same temperature T:
//   forward_kl       sum q log(q/p)                            Hinton et al. 2015, arXiv 1503.02531
//   reverse_kl       sum p log(p/q)                            MiniLLM, arXiv 2306.08543
//   jsd              b sum q log(q/m) + (1-b) sum p log(p/m),  m = b q + (1-b) p
//                    generalised Jensen-Shannon, GKD, arXiv 2306.13649, equation 1; b = 0 and 1 are
//                    forward and reverse KL in the limit of gradients, as TRL has it: use those
//   skew_kl          sum q log(q/m),  m = a q + (1-a) p        DistiLLM, arXiv 2402.03898, section
//   3 skew_reverse_kl  sum p log(p/m),  m = (1-a) q + a p loss[r] = w[r] (hard + weight T^2
//   divergence)
// Every gradient is p_v (f'(p_v) - sum_u p_u f'(p_u)) for a divergence sum_v f(p_v).
//
// A row of which a sparse teacher says nothing has the hard term at the weight of both: a stop
// token that the teacher's server does not send is learnt all the same. The teacher is given
// densely, as logits of the same vocabulary, or sparsely, as its likeliest ids and a tail. With
// `tail` the ids outside are one outcome more on both sides, which is unbiased; without it nothing
// is said of them, and forward KL is the only divergence: the optimum is then p = q / (kept mass),
// unless the weights sum to one as those of sampled ids do (RS-KD, arXiv 2503.16870). A teacher's
// log-probability below -100 counts as -100.
#pragma once
#include <cstdint>

#include "kernels/convert.h"
#include "kernels/cross_entropy.h"

namespace retort::kernels {

enum class Divergence { forward_kl, reverse_kl, jsd, skew_kl, skew_reverse_kl };

struct SoftTerm {
  float weight = 0;  // 0: no teacher
  Divergence divergence = Divergence::forward_kl;
  float mix = 0.5f;       // b of jsd, a of the skewed ones; strictly between 0 and 1
  float temperature = 1;  // 1 where the teacher is sparse
  bool tail = true;       // where the teacher is sparse
  bool operator==(const SoftTerm&) const = default;
};

// Rows laid out as tensor::SparseTargets. At most kMostEntries a row, distinct.
struct SparseTeacher {
  static constexpr int64_t kMostEntries = 1024;
  const int64_t* starts = nullptr;
  const int32_t* ids = nullptr;
  const float* logprobs = nullptr;
  const float* tails = nullptr;
  const int32_t* rows = nullptr;  // [rows] which of them belongs to each row of logits
};

template <class T>
struct Distill {
  CrossEntropy<T> base;  // rows, logits, targets, hard term, weights and where results go
  SoftTerm soft = {};
  float* teacher = nullptr;  // [rows, vocab] logits, overwritten; or else
  SparseTeacher sparse = {};
  float* divergence = nullptr;  // [rows], without weights and T^2
};

void distill(const Distill<float>& args);
void distill(const Distill<Bf16>& args);

// The loss of one row of a dense teacher, or of outcomes that are given already, in double; for
// tests, which take its gradient by differences.
double divergence_reference(const SoftTerm& soft, int64_t outcomes, const double* p,
                            const double* q);

}  // namespace retort::kernels
