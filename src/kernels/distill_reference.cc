#include <algorithm>
#include <cmath>

#include "kernels/distill.h"

namespace retort::kernels {
namespace {

// sum_v a_v log(a_v / b_v)
double kl(int64_t outcomes, const double* a, auto b) {
  double sum = 0;
  for (int64_t v = 0; v < outcomes; ++v) {
    if (a[v] > 0) sum += a[v] * (std::log(a[v]) - std::max(std::log(b(v)), -100.0));
  }
  return sum;
}

}  // namespace

double divergence_reference(const SoftTerm& soft, int64_t outcomes, const double* p,
                            const double* q) {
  const double mix = soft.mix;
  const auto mixed = [&](double of_teacher) {
    return [=](int64_t v) { return of_teacher * q[v] + (1 - of_teacher) * p[v]; };
  };
  switch (soft.divergence) {
    case Divergence::forward_kl:
      return kl(outcomes, q, [&](int64_t v) { return p[v]; });
    case Divergence::reverse_kl:
      return kl(outcomes, p, [&](int64_t v) { return q[v]; });
    case Divergence::jsd:
      return mix * kl(outcomes, q, mixed(mix)) + (1 - mix) * kl(outcomes, p, mixed(mix));
    case Divergence::skew_kl:
      return kl(outcomes, q, mixed(mix));
    case Divergence::skew_reverse_kl:
      return kl(outcomes, p, mixed(1 - mix));
  }
  return 0;
}

}  // namespace retort::kernels
