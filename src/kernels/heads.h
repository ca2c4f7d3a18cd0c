// What some models do to rows of queries, keys and values before attention: Qwen2 adds a bias to
// every column, Qwen3 normalises each head of queries and keys by its root mean square (rmsnorm.h).
// Backward is in place: what comes as the gradient of the result leaves as that of the input. Rows
// are shared between threads in blocks of a fixed size, so their number does not change the bits.
#pragma once
#include <cstdint>

#include "kernels/convert.h"

namespace retort::kernels {

// y[r, c] += bias[c]
void add_bias(int64_t rows, int64_t width, const float* bias, float* y);
void add_bias(int64_t rows, int64_t width, const float* bias, Bf16* y);
// dbias[c] += sum over r of dy[r, c]
void bias_backward(int64_t rows, int64_t width, const float* dy, float* dbias);
void bias_backward(int64_t rows, int64_t width, const Bf16* dy, float* dbias);

// Neighbouring heads of each row; x and y point at the first row's first one. T: float or Bf16.
template <class T>
struct HeadNorm {
  int64_t rows = 0;
  int64_t stride = 0;  // elements from row to row
  int64_t heads = 0;
  int64_t head_dim = 0;
  float eps = 0;
  const T* x = nullptr;
  const float* weight = nullptr;  // [head_dim], of all heads
  T* y = nullptr;                 // may be x
  float* rstd = nullptr;          // [rows, heads], kept for backward
};
void head_norm(const HeadNorm<float>& args);
void head_norm(const HeadNorm<Bf16>& args);

template <class T>
struct HeadNormBackward {
  int64_t rows = 0;
  int64_t stride = 0;
  int64_t heads = 0;
  int64_t head_dim = 0;
  const T* x = nullptr;
  const float* weight = nullptr;
  const float* rstd = nullptr;
  T* dy = nullptr;           // becomes dx
  float* dweight = nullptr;  // [head_dim], added to, or none
  float* scratch = nullptr;  // rmsnorm_scratch(rows, head_dim) floats
};
void head_norm_backward(const HeadNormBackward<float>& args);
void head_norm_backward(const HeadNormBackward<Bf16>& args);

}  // namespace retort::kernels
