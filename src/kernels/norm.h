// The Euclidean norm of a gradient and its scaling. The sum is taken over fixed blocks in a fixed
// order, in double between blocks: the same bits whatever the number of threads.
#pragma once
#include <span>

namespace retort::kernels {

double sum_of_squares(std::span<const float> values);
double sum_of_squares_reference(std::span<const float> values);
// values[i] *= factor
void scale(std::span<float> values, float factor);

}  // namespace retort::kernels
