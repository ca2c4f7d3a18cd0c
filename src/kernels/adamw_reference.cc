#include <cmath>

#include "kernels/adamw.h"

namespace retort::kernels {

void adamw_step_reference(const AdamW& options, const AdamWState& state) {
  const double step = static_cast<double>(options.step);
  const double beta1 = options.beta1;
  const double beta2 = options.beta2;
  for (int64_t i = 0; i < state.size; ++i) {
    const double g = static_cast<double>(state.gradients[i]) * options.gradient_scale;
    const double m = beta1 * state.m[i] + (1 - beta1) * g;
    const double v = beta2 * state.v[i] + (1 - beta2) * g * g;
    const double m_hat = m / (1 - std::pow(beta1, step));
    const double v_hat = v / (1 - std::pow(beta2, step));
    const double w = state.weights[i];
    const double decay = static_cast<double>(options.lr) * options.weight_decay * w;
    state.m[i] = static_cast<float>(m);
    state.v[i] = static_cast<float>(v);
    state.weights[i] =
        static_cast<float>(w - options.lr * m_hat / (std::sqrt(v_hat) + options.eps) - decay);
  }
}

}  // namespace retort::kernels
