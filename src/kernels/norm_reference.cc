#include "kernels/norm.h"

namespace retort::kernels {

double sum_of_squares_reference(std::span<const float> values) {
  double total = 0;
  for (const float value : values) total += static_cast<double>(value) * value;
  return total;
}

}  // namespace retort::kernels
