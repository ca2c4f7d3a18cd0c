#include <algorithm>

#include "train/learner_internal.h"
#include "train/objective.h"

namespace retort::train {
namespace {

Trainable trained_of(model::Weights& weights, model::Adapter* adapter) {
  if (adapter == nullptr) return {&weights.tensors(), weights.block()};
  return {&adapter->tensors(), adapter->block()};
}

}  // namespace

Learner::Learner(model::Weights& weights, model::Adapter* adapter, const LoopInput& input,
                 model::Precision precision)
    : options_(input.options),
      trained_(trained_of(weights, adapter)),
      weigher_(weigher_of(options_)),
      network_(weights, options_.batch_tokens, precision, adapter),
      gradients_(trained_.block.size()) {
  model::Objective objective = objective_of(options_, input.teacher);
  objective.weigher = weigher_.get();
  if (weigher_ && !learns_pairs(options_)) objective.spoken = input.spoken;
  network_.set_objective(objective);
}

uint32_t Learner::together() const {
  return learns_pairs(options_) ? 2 : 1;
}

int64_t Learner::units(const std::vector<Example>& rows,
                       std::span<const std::vector<uint32_t>> batches) const {
  int64_t counted = 0;
  for (const auto& batch : batches) {
    if (learns_pairs(options_)) {
      counted += std::ssize(batch) / 2;
      continue;
    }
    for (const uint32_t row : batch) counted += rows[row].trained_tokens();
  }
  return counted;
}

model::LossSum Learner::learn(const std::vector<Example>& rows,
                              std::span<const std::vector<uint32_t>> batches) {
  const auto scale = 1.0F / static_cast<float>(units(rows, batches));
  std::fill(gradients_.begin(), gradients_.end(), 0.0F);
  model::LossSum sum;
  for (const auto& chosen : batches) {
    const model::Batch batch = make_batch(rows, chosen);
    sum.add(network_.forward_backward(batch, scale, gradients_));
    inputs_ += static_cast<int64_t>(batch.tokens.size());
  }
  return sum;
}

model::LossSum Learner::measure(const std::vector<Example>& rows) {
  model::LossSum sum;
  for (const auto& chosen : plan_in_order(rows, options_.batch_tokens, together())) {
    sum.add(network_.loss(make_batch(rows, chosen)));
  }
  return sum;
}

}  // namespace retort::train
