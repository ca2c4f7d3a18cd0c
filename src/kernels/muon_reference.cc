#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/muon.h"

namespace retort::kernels {
namespace {

using Matrix = std::vector<double>;

// X X^T for X [rows, cols].
Matrix gram_of(const Matrix& x, int64_t rows, int64_t cols) {
  Matrix out(static_cast<size_t>(rows * rows));
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < rows; ++j) {
      for (int64_t k = 0; k < cols; ++k) out[i * rows + j] += x[i * cols + k] * x[j * cols + k];
    }
  }
  return out;
}

// With X' = a X + (b A + c A A) X for rows <= cols, and of the transposed else.
Matrix orthogonal(Matrix x, int64_t rows, int64_t cols) {
  if (rows > cols) {
    Matrix turned(x.size());
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) turned[j * rows + i] = x[i * cols + j];
    }
    turned = orthogonal(std::move(turned), cols, rows);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) x[i * cols + j] = turned[j * rows + i];
    }
    return x;
  }
  double squares = 0;
  for (const double v : x) squares += v * v;
  for (double& v : x) v /= std::max(std::sqrt(squares), 1e-7);
  for (int step = 0; step < 5; ++step) {
    const Matrix gram = gram_of(x, rows, cols);
    const Matrix square = gram_of(gram, rows, rows);  // A is symmetric
    Matrix next(x.size());
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) {
        next[i * cols + j] = 3.4445 * x[i * cols + j];
        for (int64_t k = 0; k < rows; ++k) {
          const double mix = -4.7750 * gram[i * rows + k] + 2.0315 * square[i * rows + k];
          next[i * cols + j] += mix * x[k * cols + j];
        }
      }
    }
    x = std::move(next);
  }
  return x;
}

}  // namespace

void muon_step_reference(const MuonOptions& options, const MuonState& state) {
  const int64_t size = state.rows * state.cols;
  Matrix update(static_cast<size_t>(size));
  const double mu = options.momentum;
  for (int64_t i = 0; i < size; ++i) {
    const double gradient = static_cast<double>(state.gradients[i]) * options.gradient_scale;
    const double momentum = mu * state.momentum[i] + (1 - mu) * gradient;
    state.momentum[i] = static_cast<float>(momentum);
    update[i] = (1 - mu) * gradient + mu * momentum;
  }
  update = orthogonal(std::move(update), state.rows, state.cols);
  const double rate =
      options.lr * 0.2 * std::sqrt(static_cast<double>(std::max(state.rows, state.cols)));
  for (int64_t i = 0; i < size; ++i) {
    const double decay = static_cast<double>(options.lr) * options.weight_decay * state.weights[i];
    state.weights[i] = static_cast<float>(state.weights[i] - rate * update[i] - decay);
  }
}

}  // namespace retort::kernels
