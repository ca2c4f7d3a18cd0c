#include <algorithm>
#include <cstring>

#include "kernels/cross_entropy.h"
#include "model/pass_internal.h"

namespace retort::model {

using kernels::Bf16;
using kernels::Product;

// Logits are made only for rows whose target counts, head_rows at a time.
template <class T>
LossSum Pass<T>::head(const Batch& batch, float scale, float* gradients) {
  Buffers<T>& b = buffers_;
  const int64_t width = config_.width;
  counted_.clear();
  targets_.clear();
  for (int64_t i = 0; i < tokens_; ++i) {
    if (batch.targets[i] < 0) continue;
    counted_.push_back(static_cast<int32_t>(i));
    targets_.push_back(batch.targets[i]);
  }
  if (gradients != nullptr) std::fill_n(b.dnormed, tokens_ * width, 0.0f);
  const auto counted = static_cast<int64_t>(counted_.size());
  for (int64_t first = 0; first < counted; first += b.head_rows) {
    const int64_t rows = std::min(b.head_rows, counted - first);
    const std::span<const int32_t> chosen =
        std::span(counted_).subspan(static_cast<size_t>(first), static_cast<size_t>(rows));
    for (int64_t i = 0; i < rows; ++i) {
      std::memcpy(b.head_in + i * width, b.normed_final + chosen[i] * width,
                  static_cast<size_t>(width) * sizeof(T));
    }
    kernels::matmul({.product = Product::nt, .m = rows, .n = config_.vocab, .k = width}, b.head_in,
                    matrix(offsets_.head), b.logits);
    kernels::cross_entropy(
        kernels::CrossEntropy<T>{.rows = rows,
                                 .vocab = config_.vocab,
                                 .logits = b.logits,
                                 .targets = targets_.data() + first,
                                 .scale = scale,
                                 .nll = b.nll + first,
                                 .dlogits = gradients == nullptr ? nullptr : b.dlogits});
    if (gradients != nullptr) head_gradients(chosen, gradients);
  }
  LossSum loss;
  loss.tokens = counted;
  for (int64_t i = 0; i < counted; ++i) loss.nll_sum += static_cast<double>(b.nll[i]);
  return loss;
}

template <class T>
void Pass<T>::head_gradients(std::span<const int32_t> chosen, float* gradients) {
  Buffers<T>& b = buffers_;
  const int64_t width = config_.width;
  const auto rows = static_cast<int64_t>(chosen.size());
  kernels::matmul({.product = Product::nn, .m = rows, .n = width, .k = config_.vocab}, b.dlogits,
                  matrix(offsets_.head), b.dhead_in);
  if (!adapter_)
    kernels::matmul(
        {.product = Product::tn, .m = config_.vocab, .n = width, .k = rows, .accumulate = true},
        b.dlogits, b.head_in, gradients + offsets_.head);
  for (int64_t i = 0; i < rows; ++i) {
    std::copy_n(b.dhead_in + i * width, width, b.dnormed + chosen[i] * width);
  }
}

template <class T>
void Pass<T>::logits(int64_t tokens, float* out) {
  kernels::matmul({.product = Product::nt, .m = tokens, .n = config_.vocab, .k = config_.width},
                  buffers_.normed_final, matrix(offsets_.head), out);
}

template LossSum Pass<float>::head(const Batch&, float, float*);
template LossSum Pass<Bf16>::head(const Batch&, float, float*);
template void Pass<float>::logits(int64_t, float*);
template void Pass<Bf16>::logits(int64_t, float*);

}  // namespace retort::model
