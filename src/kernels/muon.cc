#include "kernels/muon.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/parallel.h"
#include "kernels/norm.h"

namespace retort::kernels {
namespace {

constexpr int kSteps = 5;
constexpr float kA = 3.4445F, kB = -4.7750F, kC = 2.0315F;  // Jordan et al.
constexpr float kSmallestNorm = 1e-7F;
constexpr int64_t kGrain = 1 << 14;

template <class F>
void elementwise(int64_t size, F f) {
  base::parallel_for(size, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(i);
  });
}

void transpose(int64_t rows, int64_t cols, const float* from, float* to) {
  base::parallel_for(cols, 8, [&](int64_t begin, int64_t end) {
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t col = begin; col < end; ++col) to[col * rows + row] = from[row * cols + col];
    }
  });
}

}  // namespace

Muon::Muon(int64_t most_elements, int64_t most_short_side)
    : update_(most_elements),
      other_(most_elements),
      gram_(most_short_side * most_short_side),
      mix_(most_short_side * most_short_side),
      left_(have_dnnl_bf16() ? most_elements : 0),
      right_(have_dnnl_bf16() ? most_elements : 0) {}

int64_t Muon::memory_bytes(int64_t most_elements, int64_t most_short_side) {
  const int64_t floats = 2 * most_elements + 2 * most_short_side * most_short_side;
  const int64_t halves = have_dnnl_bf16() ? 2 * most_elements : 0;
  return floats * static_cast<int64_t>(sizeof(float)) + halves * static_cast<int64_t>(sizeof(Bf16));
}

void Muon::product(const MatmulShape& shape, const float* a, const float* b, float* c) {
  if (left_.size() == 0) return matmul(shape, a, b, c);
  to_bf16(a, left_.data(), shape.m * shape.k);
  to_bf16(b, right_.data(), shape.n * shape.k);
  matmul(shape, left_.data(), right_.data(), c);
}

// rows <= cols
void Muon::iterate(int64_t rows, int64_t cols, float* x) {
  float* gram = gram_.data();
  float* mix = mix_.data();
  float* next = x == update_.data() ? other_.data() : update_.data();
  const std::span<float> all(x, static_cast<size_t>(rows * cols));
  const auto norm = static_cast<float>(std::sqrt(sum_of_squares(all)));
  scale(all, 1.0F / std::max(norm, kSmallestNorm));
  for (int step = 0; step < kSteps; ++step) {
    product({.product = Product::nt, .m = rows, .n = rows, .k = cols}, x, x, gram);
    product({.product = Product::nt, .m = rows, .n = rows, .k = rows}, gram, gram, mix);
    elementwise(rows * rows, [&](int64_t i) { mix[i] = kB * gram[i] + kC * mix[i]; });
    product({.product = Product::nn, .m = rows, .n = cols, .k = rows}, mix, x, next);
    elementwise(rows * cols, [&](int64_t i) { x[i] = kA * x[i] + next[i]; });
  }
}

void Muon::orthogonalize(int64_t rows, int64_t cols, float* x) {
  RETORT_CHECK(rows * cols <= update_.size(), "{} x {}", rows, cols);
  RETORT_CHECK(std::min(rows, cols) * std::min(rows, cols) <= gram_.size(), "{} x {}", rows, cols);
  if (rows <= cols) return iterate(rows, cols, x);
  float* turned = x == other_.data() ? update_.data() : other_.data();
  transpose(rows, cols, x, turned);
  iterate(cols, rows, turned);
  transpose(cols, rows, turned, x);
}

void Muon::step(const MuonOptions& options, const MuonState& state) {
  const int64_t size = state.rows * state.cols;
  RETORT_CHECK(size <= update_.size(), "{} x {}", state.rows, state.cols);
  float* update = update_.data();
  const float mu = options.momentum;
  elementwise(size, [&](int64_t i) {
    const float gradient = state.gradients[i] * options.gradient_scale;
    state.momentum[i] = mu * state.momentum[i] + (1 - mu) * gradient;
    update[i] = (1 - mu) * gradient + mu * state.momentum[i];
  });
  orthogonalize(state.rows, state.cols, update);
  const auto longer = static_cast<float>(std::max(state.rows, state.cols));
  const float rate = options.lr * 0.2F * std::sqrt(longer);
  const float keep = 1 - options.lr * options.weight_decay;
  elementwise(size,
              [&](int64_t i) { state.weights[i] = state.weights[i] * keep - rate * update[i]; });
}

}  // namespace retort::kernels
