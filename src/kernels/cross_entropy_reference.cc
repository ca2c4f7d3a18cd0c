#include <algorithm>
#include <cmath>

#include "kernels/cross_entropy.h"

namespace retort::kernels {

void cross_entropy_reference(const CrossEntropy<float>& args) {
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* logits = args.logits + row * args.vocab;
    const double top = *std::max_element(logits, logits + args.vocab);
    double total = 0;
    for (int64_t v = 0; v < args.vocab; ++v) total += std::exp(logits[v] - top);
    const double lse = top + std::log(total);
    args.nll[row] = static_cast<float>(lse - logits[args.targets[row]]);
    if (args.dlogits == nullptr) continue;
    for (int64_t v = 0; v < args.vocab; ++v) {
      const double hit = v == args.targets[row] ? 1 : 0;
      args.dlogits[row * args.vocab + v] =
          static_cast<float>(args.scale * (std::exp(logits[v] - lse) - hit));
    }
  }
}

}  // namespace retort::kernels
