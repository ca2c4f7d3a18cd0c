#include <algorithm>

#include "base/random.h"
#include "kernels/norm.h"
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
      collective_(*input.collective),
      trained_(trained_of(weights, adapter)),
      weigher_(weigher_of(options_)),
      network_(weights, options_.batch_tokens, precision, adapter,
               options_.recompute == "always" ? model::Use::recomputing : model::Use::training),
      gradients_(trained_.block.size()) {
  model::Objective objective = objective_of(options_, input.teacher);
  objective.weigher = weigher_.get();
  if (weigher_ && !learns_pairs(options_)) objective.spoken = input.spoken;
  network_.set_objective(objective);
  network_.set_dropout(static_cast<float>(options_.dropout));
}

uint32_t Learner::together() const {
  return learns_pairs(options_) ? 2 : 1;
}

std::vector<uint64_t> Learner::dropout_seeds(std::span<const uint32_t> rows, int64_t step) const {
  std::vector<uint64_t> seeds;
  if (options_.dropout == 0) return seeds;
  const uint64_t of_step =
      base::mix64(static_cast<uint64_t>(options_.seed) ^ base::mix64(static_cast<uint64_t>(step)));
  for (const uint32_t row : rows) seeds.push_back(base::mix64(of_step ^ base::mix64(row)));
  return seeds;
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

// Counts are whole numbers far below 2^53.
model::LossSum Learner::sum_over_all(const model::LossSum& mine, int64_t& inputs) {
  double sums[] = {mine.nll_sum,
                   mine.loss_sum,
                   mine.divergence_sum,
                   static_cast<double>(mine.tokens),
                   static_cast<double>(mine.units),
                   static_cast<double>(mine.agreed),
                   static_cast<double>(inputs)};
  collective_.sum(std::span<double>(sums));
  inputs = static_cast<int64_t>(sums[6]);
  return {.nll_sum = sums[0],
          .loss_sum = sums[1],
          .divergence_sum = sums[2],
          .tokens = static_cast<int64_t>(sums[3]),
          .units = static_cast<int64_t>(sums[4]),
          .agreed = static_cast<int64_t>(sums[5])};
}

model::LossSum Learner::learn(const std::vector<Example>& rows,
                              std::span<const std::vector<uint32_t>> batches, int64_t step) {
  const auto scale = 1.0F / static_cast<float>(units(rows, batches));
  const BatchPlan mine = share_of(rows, batches,
                                  {.rank = collective_.rank(),
                                   .size = collective_.size(),
                                   .batch_tokens = options_.batch_tokens,
                                   .together = together()});
  std::fill(gradients_.begin(), gradients_.end(), 0.0F);
  model::LossSum sum;
  int64_t inputs = 0;
  for (const auto& chosen : mine) {
    model::Batch batch = make_batch(rows, chosen);
    batch.dropout_seeds = dropout_seeds(chosen, step);
    sum.add(network_.forward_backward(batch, scale, gradients_));
    inputs += static_cast<int64_t>(batch.tokens.size());
  }
  collective_.sum(std::span(gradients_));
  sum = sum_over_all(sum, inputs);
  inputs_ += inputs;
  return sum;
}

model::LossSum Learner::measure(const std::vector<Example>& rows) {
  const BatchPlan batches = plan_in_order(rows, options_.batch_tokens, together());
  model::LossSum sum;
  int64_t inputs = 0;
  for (size_t i = 0; i < batches.size(); ++i) {
    if (static_cast<int>(i) % collective_.size() != collective_.rank()) continue;
    sum.add(network_.loss(make_batch(rows, batches[i])));
  }
  return sum_over_all(sum, inputs);
}

// Each process adds up a part of them, since how a sum of all is rounded depends on its threads.
double Learner::squares() {
  const auto size = static_cast<int64_t>(gradients_.size());
  const int64_t begin = size * collective_.rank() / collective_.size();
  const int64_t end = size * (collective_.rank() + 1) / collective_.size();
  double sum = kernels::sum_of_squares(std::span(gradients_).subspan(begin, end - begin));
  collective_.sum(std::span(&sum, 1));
  return sum;
}

}  // namespace retort::train
