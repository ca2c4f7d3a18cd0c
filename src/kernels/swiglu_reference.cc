#include <cmath>

#include "kernels/swiglu.h"

namespace retort::kernels {

void swiglu_reference(const Swiglu<float>& args) {
  for (int64_t row = 0; row < args.rows; ++row) {
    for (int64_t i = 0; i < args.inner; ++i) {
      const double gate = args.gate_up[row * 2 * args.inner + i];
      const double up = args.gate_up[(row * 2 + 1) * args.inner + i];
      args.act[row * args.inner + i] = static_cast<float>(gate / (1 + std::exp(-gate)) * up);
    }
  }
}

void swiglu_backward_reference(const SwigluBackward<float>& args) {
  for (int64_t row = 0; row < args.rows; ++row) {
    for (int64_t i = 0; i < args.inner; ++i) {
      const int64_t gate_at = row * 2 * args.inner + i;
      const int64_t up_at = gate_at + args.inner;
      const double gate = args.gate_up[gate_at];
      const double up = args.gate_up[up_at];
      const double d = args.dact[row * args.inner + i];
      const double sigmoid = 1 / (1 + std::exp(-gate));
      args.act[row * args.inner + i] = static_cast<float>(gate * sigmoid * up);
      args.dgate_up[gate_at] = static_cast<float>(d * up * sigmoid * (1 + gate * (1 - sigmoid)));
      args.dgate_up[up_at] = static_cast<float>(d * gate * sigmoid);
    }
  }
}

}  // namespace retort::kernels
