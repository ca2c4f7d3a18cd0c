#include "kernels/norm.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/parallel.h"
#include "kernels/loops_internal.h"

namespace retort::kernels {

double sum_of_squares(std::span<const float> values) {
  // The pieces are the same whatever the number of threads, and so is the sum over them.
  constexpr int64_t kPieces = 256;
  std::array<double, kPieces> pieces{};
  const auto size = static_cast<int64_t>(values.size());
  base::parallel_for(kPieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      constexpr int64_t kRun = 4096;  // floats summed in fp32 before the double takes over
      const int64_t last = size * (i + 1) / kPieces;
      for (int64_t at = size * i / kPieces; at < last; at += kRun) {
        pieces[i] += loops().sum_of_squares(values.data(), {at, std::min(at + kRun, last)});
      }
    }
  });
  double total = 0;
  for (const double piece : pieces) total += piece;
  return total;
}

void scale(std::span<float> values, float factor) {
  base::parallel_for(static_cast<int64_t>(values.size()), 1 << 14, [&](int64_t begin, int64_t end) {
    float* data = values.data();
    for (int64_t i = begin; i < end; ++i) data[i] *= factor;
  });
}

}  // namespace retort::kernels
