#include "kernels/heads.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "kernels/rmsnorm.h"

namespace retort::kernels {
namespace {

void put(float value, float* to) {
  *to = value;
}
void put(float value, Bf16* to) {
  *to = tensor::to_bf16(value);
}

// Each thread sums its own columns over the rows in their order.
template <class T>
void sum_columns(int64_t rows, int64_t width, const T* dy, float* dbias) {
  base::parallel_for(width, 64, [&](int64_t begin, int64_t end) {
    for (int64_t r = 0; r < rows; ++r) {
      const T* row = dy + r * width;
      for (int64_t c = begin; c < end; ++c) dbias[c] += tensor::to_float(row[c]);
    }
  });
}

template <class T>
void add_to_rows(int64_t rows, int64_t width, const float* bias, T* y) {
  base::parallel_for(rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      T* row = y + r * width;
      for (int64_t c = 0; c < width; ++c) put(tensor::to_float(row[c]) + bias[c], row + c);
    }
  });
}

// Returns the head's 1 / root mean square.
template <class T>
float one_head(const HeadNorm<T>& args, const T* x, T* y) {
  float squares = 0;
  for (int64_t i = 0; i < args.head_dim; ++i) {
    squares += tensor::to_float(x[i]) * tensor::to_float(x[i]);
  }
  const float rstd = 1.0f / std::sqrt(squares / static_cast<float>(args.head_dim) + args.eps);
  for (int64_t i = 0; i < args.head_dim; ++i) {
    put(tensor::to_float(x[i]) * rstd * args.weight[i], y + i);
  }
  return rstd;
}

template <class T>
void forward(const HeadNorm<T>& args) {
  base::parallel_for(args.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t h = 0; h < args.heads; ++h) {
        const int64_t at = r * args.stride + h * args.head_dim;
        args.rstd[r * args.heads + h] = one_head(args, args.x + at, args.y + at);
      }
    }
  });
}

// As in rmsnorm.h: dx = rstd * (g - xhat * mean(g * xhat)) with g = dy * weight.
template <class T>
void one_head_backward(const HeadNormBackward<T>& args, const T* x, float rstd, T* dy,
                       float* dweight) {
  float dot = 0;
  for (int64_t i = 0; i < args.head_dim; ++i) {
    const float product = tensor::to_float(dy[i]) * tensor::to_float(x[i]) * rstd;
    if (dweight != nullptr) dweight[i] += product;
    dot += product * args.weight[i];
  }
  const float mean = dot / static_cast<float>(args.head_dim);
  for (int64_t i = 0; i < args.head_dim; ++i) {
    const float g = tensor::to_float(dy[i]) * args.weight[i];
    put(rstd * (g - tensor::to_float(x[i]) * rstd * mean), dy + i);
  }
}

template <class T>
void backward(const HeadNormBackward<T>& args) {
  const int64_t each = rmsnorm_scratch(1, args.head_dim);
  const int64_t blocks = rmsnorm_scratch(args.rows, args.head_dim) / each;
  const bool sums = args.dweight != nullptr;
  if (sums) std::fill_n(args.scratch, blocks * each, 0.0f);
  base::parallel_for(blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t last = args.rows * (block + 1) / blocks;
      for (int64_t r = args.rows * block / blocks; r < last; ++r) {
        for (int64_t h = 0; h < args.heads; ++h) {
          const int64_t at = r * args.stride + h * args.head_dim;
          one_head_backward(args, args.x + at, args.rstd[r * args.heads + h], args.dy + at,
                            sums ? args.scratch + block * each : nullptr);
        }
      }
    }
  });
  for (int64_t block = 0; sums && block < blocks; ++block) {
    for (int64_t i = 0; i < args.head_dim; ++i) {
      args.dweight[i] += args.scratch[block * each + i];
    }
  }
}

}  // namespace

void add_bias(int64_t rows, int64_t width, const float* bias, float* y) {
  add_to_rows(rows, width, bias, y);
}
void add_bias(int64_t rows, int64_t width, const float* bias, Bf16* y) {
  add_to_rows(rows, width, bias, y);
}

void bias_backward(int64_t rows, int64_t width, const float* dy, float* dbias) {
  sum_columns(rows, width, dy, dbias);
}
void bias_backward(int64_t rows, int64_t width, const Bf16* dy, float* dbias) {
  sum_columns(rows, width, dy, dbias);
}

void head_norm(const HeadNorm<float>& args) {
  forward(args);
}
void head_norm(const HeadNorm<Bf16>& args) {
  forward(args);
}

void head_norm_backward(const HeadNormBackward<float>& args) {
  backward(args);
}
void head_norm_backward(const HeadNormBackward<Bf16>& args) {
  backward(args);
}

}  // namespace retort::kernels
