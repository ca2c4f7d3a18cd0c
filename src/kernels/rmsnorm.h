// Root mean square normalisation of rows (Zhang and Sennrich 2019), fused with the residual sum
// before it:
//   sum = x + delta (when delta is given);  rstd = 1 / sqrt(mean(sum^2) + eps)
//   y = sum * rstd * weight
// T is what the next matrix product reads: float or Bf16.
#pragma once
#include <cstdint>

#include "kernels/convert.h"

namespace retort::kernels {

template <class T>
struct Rmsnorm {
  int64_t rows = 0;
  int64_t width = 0;
  float eps = 0;
  const float* x = nullptr;       // [rows, width]
  const float* delta = nullptr;   // [rows, width], or none
  const float* weight = nullptr;  // [width]
  float* sum = nullptr;           // [rows, width], written when delta is given; may be x
  T* y = nullptr;                 // [rows, width]
  float* rstd = nullptr;          // [rows], kept for backward
};

// With g = dy * weight and xhat = x * rstd:
//   dx += rstd * (g - xhat * mean(g * xhat));  dweight += sum over rows of dy * xhat
template <class T>
struct RmsnormBackward {
  int64_t rows = 0;
  int64_t width = 0;
  const float* x = nullptr;  // what was normalised: sum of the forward pass
  const float* weight = nullptr;
  const float* rstd = nullptr;
  const float* dy = nullptr;  // [rows, width]
  float* dx = nullptr;        // [rows, width], added to: the residual's own gradient
  T* dx_copy = nullptr;       // [rows, width], dx again for the next product, or none
  float* dweight = nullptr;   // [width], added to, or none
  float* scratch = nullptr;   // rmsnorm_scratch() floats
};

// Rows are summed into dweight in blocks of a fixed size, so threads do not change the bits.
int64_t rmsnorm_scratch(int64_t rows, int64_t width);

void rmsnorm(const Rmsnorm<float>& args);
void rmsnorm(const Rmsnorm<Bf16>& args);
void rmsnorm_backward(const RmsnormBackward<float>& args);
void rmsnorm_backward(const RmsnormBackward<Bf16>& args);

void rmsnorm_reference(const Rmsnorm<float>& args);
void rmsnorm_backward_reference(const RmsnormBackward<float>& args);

}  // namespace retort::kernels
