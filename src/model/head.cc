#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "kernels/distill.h"
#include "model/pass_internal.h"

namespace retort::model {

using kernels::Bf16;
using kernels::Product;

// Logits are made only for rows whose target counts, head_rows at a time.
template <class T>
LossSum Pass<T>::head(const Batch& batch, float scale, float* gradients) {
  Buffers<T>& b = buffers_;
  const bool backward = gradients != nullptr;
  counted_.clear();
  targets_.clear();
  row_weights_.clear();
  for (int64_t i = 0; i < tokens_; ++i) {
    if (batch.targets[i] < 0) continue;
    counted_.push_back(static_cast<int32_t>(i));
    targets_.push_back(batch.targets[i]);
    if (!batch.weights.empty()) row_weights_.push_back(batch.weights[i]);
  }
  if (backward) std::fill_n(b.dnormed, tokens_ * config_.width, 0.0f);
  if (objective_.needs_teacher() && objective_.teacher != nullptr) objective_.teacher->start(batch);
  const auto counted = static_cast<int64_t>(counted_.size());
  LossSum sum{.tokens = counted, .units = counted};
  const bool weighs = objective_.weigher != nullptr && !batch.reference.empty();
  if (weighs) {
    counted_losses(batch, scale, nullptr);
    row_weights_.resize(counted_.size());
    const RowWeigher::Loss weighed = objective_.weigher->weigh(
        batch, counted_, std::span<const float>(b.nll, counted_.size()), row_weights_);
    sum.loss_sum = weighed.sum;
    sum.divergence_sum = weighed.divergence_sum;
    sum.units = weighed.units;
    sum.agreed = weighed.agreed;
  }
  if (backward || !weighs) counted_losses(batch, scale, gradients);
  for (int64_t i = 0; i < counted; ++i) {
    sum.nll_sum += static_cast<double>(b.nll[i]);
    if (weighs) continue;
    sum.loss_sum += static_cast<double>(b.loss[i]);
    if (objective_.needs_teacher()) sum.divergence_sum += static_cast<double>(b.divergence[i]);
  }
  return sum;
}

template <class T>
void Pass<T>::counted_losses(const Batch& batch, float scale, float* gradients) {
  const Buffers<T>& b = buffers_;
  const auto counted = static_cast<int64_t>(counted_.size());
  for (int64_t first = 0; first < counted; first += b.head_rows) {
    const int64_t rows = std::min(b.head_rows, counted - first);
    const std::span<const int32_t> chosen =
        std::span(counted_).subspan(static_cast<size_t>(first), static_cast<size_t>(rows));
    gather_head_inputs(chosen);
    kernels::matmul({.product = Product::nt, .m = rows, .n = config_.vocab, .k = config_.width},
                    b.head_in, matrix(offsets_.head), b.logits);
    row_losses(batch, first, rows, scale, gradients != nullptr);
    if (gradients != nullptr) head_gradients(chosen, gradients);
  }
}

template <class T>
void Pass<T>::gather_head_inputs(std::span<const int32_t> rows) {
  const int64_t width = config_.width;
  for (size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(buffers_.head_in + static_cast<int64_t>(i) * width,
                buffers_.normed_final + rows[i] * width, static_cast<size_t>(width) * sizeof(T));
  }
}

template <class T>
void Pass<T>::row_losses(const Batch& batch, int64_t first, int64_t rows, float scale,
                         bool backward) {
  Buffers<T>& b = buffers_;
  constexpr float kNever = -1e30F;
  for (int64_t row = 0; objective_.spoken > 0 && row < rows; ++row) {
    float* logits = b.logits + row * config_.vocab;
    std::fill(logits + objective_.spoken, logits + config_.vocab, kNever);
  }
  const kernels::CrossEntropy<T> hard{
      .rows = rows,
      .vocab = config_.vocab,
      .logits = b.logits,
      .targets = targets_.data() + first,
      .scale = scale,
      .nll = b.nll + first,
      .dlogits = backward ? b.dlogits : nullptr,
      .hard = objective_.hard,
      .row_weights = row_weights_.empty() ? nullptr : row_weights_.data() + first,
      .loss = b.loss + first};
  if (!objective_.needs_teacher()) return kernels::cross_entropy(hard);
  kernels::Distill<T> args{
      .base = hard, .soft = objective_.soft, .divergence = b.divergence + first};
  if (objective_.teacher != nullptr) {
    const auto chosen = std::span<const int32_t>(counted_).subspan(static_cast<size_t>(first),
                                                                   static_cast<size_t>(rows));
    objective_.teacher->logits(chosen, teacher_logits_.data());
    args.teacher = teacher_logits_.data();
  } else {
    const tensor::SparseTargets& teacher = batch.teacher;
    RETORT_CHECK_EQ(teacher.rows(), tokens_);
    args.sparse = {teacher.starts.data(), teacher.ids.data(), teacher.logprobs.data(),
                   teacher.tails.data(), counted_.data() + first};
  }
  kernels::distill(args);
}

template <class T>
void Pass<T>::set_objective(const Objective& objective) {
  objective_ = objective;
  const bool asks = objective.needs_teacher() && objective.teacher != nullptr;
  teacher_logits_ = tensor::Buffer<float>(asks ? buffers_.head_rows * config_.vocab : 0);
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
void Pass<T>::logits(std::span<const int32_t> rows, float* out) {
  const auto count = static_cast<int64_t>(rows.size());
  for (int64_t first = 0; first < count; first += buffers_.head_rows) {
    const int64_t some = std::min(buffers_.head_rows, count - first);
    gather_head_inputs(rows.subspan(static_cast<size_t>(first), static_cast<size_t>(some)));
    kernels::matmul({.product = Product::nt, .m = some, .n = config_.vocab, .k = config_.width},
                    buffers_.head_in, matrix(offsets_.head), out + first * config_.vocab);
  }
}

template LossSum Pass<float>::head(const Batch&, float, float*);
template LossSum Pass<Bf16>::head(const Batch&, float, float*);
template void Pass<float>::set_objective(const Objective&);
template void Pass<Bf16>::set_objective(const Objective&);
template void Pass<float>::logits(std::span<const int32_t>, float*);
template void Pass<Bf16>::logits(std::span<const int32_t>, float*);

}  // namespace retort::model
