#include <algorithm>
#include <cmath>

#include "kernels/cross_entropy.h"

namespace retort::kernels {

void cross_entropy_reference(const CrossEntropy<float>& args) {
  const double even = args.hard.label_smoothing / static_cast<double>(args.vocab);
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* logits = args.logits + row * args.vocab;
    const double top = *std::max_element(logits, logits + args.vocab);
    double total = 0, mean = 0;
    for (int64_t v = 0; v < args.vocab; ++v) {
      total += std::exp(logits[v] - top);
      mean += logits[v] / static_cast<double>(args.vocab);
    }
    const double lse = top + std::log(total);
    const double nll = lse - logits[args.targets[row]];
    const double weight =
        args.hard.weight * (args.row_weights == nullptr ? 1.0 : args.row_weights[row]);
    const double smooth = args.hard.label_smoothing;
    args.nll[row] = static_cast<float>(nll);
    if (args.loss != nullptr) {
      const double all = (1 - smooth) * nll + smooth * (lse - mean) + args.hard.z_loss * lse * lse;
      args.loss[row] = static_cast<float>(weight * all);
    }
    if (args.dlogits == nullptr) continue;
    for (int64_t v = 0; v < args.vocab; ++v) {
      const double hit = v == args.targets[row] ? 1 - smooth : 0;
      const double share = std::exp(logits[v] - lse) * (1 + 2 * args.hard.z_loss * lse);
      args.dlogits[row * args.vocab + v] =
          static_cast<float>(args.scale * weight * (share - hit - even));
    }
  }
}

}  // namespace retort::kernels
