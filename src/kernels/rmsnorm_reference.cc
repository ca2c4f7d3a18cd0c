#include <cmath>

#include "kernels/rmsnorm.h"

namespace retort::kernels {

void rmsnorm_reference(const Rmsnorm<float>& args) {
  const int64_t width = args.width;
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x = args.x + row * width;
    if (args.delta != nullptr) {
      for (int64_t c = 0; c < width; ++c) {
        args.sum[row * width + c] = x[c] + args.delta[row * width + c];
      }
      x = args.sum + row * width;
    }
    double squares = 0;
    for (int64_t c = 0; c < width; ++c) squares += static_cast<double>(x[c]) * x[c];
    const double rstd = 1 / std::sqrt(squares / static_cast<double>(width) + args.eps);
    args.rstd[row] = static_cast<float>(rstd);
    for (int64_t c = 0; c < width; ++c) {
      args.y[row * width + c] = static_cast<float>(x[c] * rstd * args.weight[c]);
    }
  }
}

void rmsnorm_backward_reference(const RmsnormBackward<float>& args) {
  const int64_t width = args.width;
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* x = args.x + row * width;
    const float* dy = args.dy + row * width;
    const double rstd = args.rstd[row];
    double dot = 0;
    for (int64_t c = 0; c < width; ++c) {
      dot += static_cast<double>(dy[c]) * args.weight[c] * x[c] * rstd;
    }
    const double mean = dot / static_cast<double>(width);
    for (int64_t c = 0; c < width; ++c) {
      const double xhat = x[c] * rstd;
      const double g = static_cast<double>(dy[c]) * args.weight[c];
      args.dx[row * width + c] += static_cast<float>(rstd * (g - xhat * mean));
      if (args.dweight != nullptr) args.dweight[c] += static_cast<float>(dy[c] * xhat);
    }
  }
}

}  // namespace retort::kernels
