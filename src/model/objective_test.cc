// A network's loss against a teacher: its gradients, and that it does not depend on how rows are
// laid into batches.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/gradient_check.h"
#include "model/network.h"
#include "model/testing_internal.h"

namespace retort::model {
namespace {

using kernels::relative_difference;

constexpr int64_t kVocab = 29;

Batch some_batch() {
  return make_batch({7, 4, 6}, kVocab, 1);
}
Weights some_weights(uint64_t seed) {
  return lively(tiny(true), seed);
}

// Another network as the teacher.
class OtherNetwork : public LogitSource {
 public:
  explicit OtherNetwork(const Weights& weights)
      : network_(weights, 100, Precision::fp32, nullptr, Use::inference) {}
  void start(const Batch& batch) override { network_.forward(batch); }
  void logits(std::span<const int32_t> rows, float* to) override { network_.logits(rows, to); }

 private:
  Network network_;
};

// The teacher's distributions at all rows, cut to ids that are likely under it.
tensor::SparseTargets cut(const Weights& teacher, const Batch& batch, int64_t most) {
  const auto logits = Network(teacher, 100, Precision::fp32).logits(batch);
  tensor::SparseTargets out;
  for (size_t row = 0; row < batch.tokens.size(); ++row) {
    const float* z = logits.data() + row * kVocab;
    double total = 0, kept = 0;
    for (int64_t v = 0; v < kVocab; ++v) total += std::exp(z[v]);
    std::vector<int32_t> ids;
    std::vector<float> logprobs;
    for (int32_t v = 0; v < kVocab && static_cast<int64_t>(ids.size()) < most; ++v) {
      if (most < kVocab && z[v] < 0) continue;
      ids.push_back(v);
      logprobs.push_back(static_cast<float>(z[v] - std::log(total)));
      kept += std::exp(z[v]) / total;
    }
    out.add_row(ids, logprobs, static_cast<float>(std::max(0.0, 1 - kept)));
  }
  return out;
}

struct Learnt {
  LossSum loss;
  std::vector<float> gradients;
};
Learnt learn(const Weights& weights, const Objective& objective, const Batch& batch,
             Precision precision = Precision::fp32) {
  Network network(weights, static_cast<int64_t>(batch.tokens.size()), precision);
  network.set_objective(objective);
  Learnt out{{}, std::vector<float>(weights.block().size())};
  out.loss = network.forward_backward(batch, 0.5f, out.gradients);
  return out;
}

void expect_numeric_gradient(const Objective& objective, const Batch& batch) {
  Weights weights = some_weights(3);
  const Learnt found = learn(weights, objective, batch);
  Network network(weights, 100, Precision::fp32);
  network.set_objective(objective);
  kernels::expect_gradient(weights.block(), [&] { return network.loss(batch).loss_sum * 0.5; },
                           found.gradients, {.step = 5e-3, .tolerance = 5e-3, .every = 37});
}

TEST(Objective, GradientWithATeacherInTheSameProcess) {
  const Weights teacher = some_weights(4);
  for (const auto divergence : {kernels::Divergence::forward_kl, kernels::Divergence::reverse_kl,
                                kernels::Divergence::jsd}) {
    OtherNetwork source(teacher);
    Batch batch = some_batch();
    batch.weights.assign(batch.tokens.size(), 1);
    batch.weights[5] = -0.5f;
    expect_numeric_gradient({.hard = {.weight = 0.3f, .label_smoothing = 0.1f, .z_loss = 1e-2f},
                             .soft = {.weight = 0.7f, .divergence = divergence, .temperature = 2},
                             .teacher = &source},
                            batch);
  }
}

TEST(Objective, GradientWithSparseTargets) {
  Batch batch = some_batch();
  batch.teacher = cut(some_weights(4), batch, 5);
  expect_numeric_gradient({.hard = {.weight = 0}, .soft = {.weight = 1}}, batch);
}

// All ids kept is the dense teacher.
TEST(Objective, SparseTargetsOfAllIdsEqualTheTeacher) {
  const Weights weights = some_weights(3), teacher = some_weights(4);
  OtherNetwork source(teacher);
  Batch batch = some_batch();
  const kernels::SoftTerm soft{.weight = 1, .divergence = kernels::Divergence::reverse_kl};
  const Learnt dense = learn(weights, {.soft = soft, .teacher = &source}, batch);
  batch.teacher = cut(teacher, batch, kVocab);
  const Learnt sparse = learn(weights, {.soft = soft}, batch);
  EXPECT_NEAR(dense.loss.divergence_sum, sparse.loss.divergence_sum, 1e-4);
  EXPECT_LT(relative_difference(sparse.gradients, dense.gradients), 1e-4);
}

TEST(Objective, AnEqualTeacherTeachesNothing) {
  const Weights weights = some_weights(3);
  OtherNetwork source(weights);
  const Learnt found = learn(
      weights, {.hard = {.weight = 0}, .soft = {.weight = 1}, .teacher = &source}, some_batch());
  EXPECT_NEAR(found.loss.loss_sum, 0, 1e-5);
  for (const float g : found.gradients) ASSERT_NEAR(g, 0, 1e-5);
}

TEST(Objective, DoesNotDependOnPacking) {
  const Weights weights = some_weights(3), teacher = some_weights(4);
  OtherNetwork source(teacher);
  const Objective objective{.soft = {.weight = 1}, .teacher = &source};
  const Batch batch = some_batch();
  const Learnt together = learn(weights, objective, batch);
  LossSum sum;
  std::vector<float> gradients(weights.block().size());
  for (size_t i = 0; i + 1 < batch.doc_starts.size(); ++i) {
    const auto begin = batch.doc_starts[i], end = batch.doc_starts[i + 1];
    const Learnt alone =
        learn(weights, objective,
              {.tokens = {batch.tokens.begin() + begin, batch.tokens.begin() + end},
               .targets = {batch.targets.begin() + begin, batch.targets.begin() + end},
               .doc_starts = {0, end - begin}});
    sum.add(alone.loss);
    for (size_t j = 0; j < gradients.size(); ++j) gradients[j] += alone.gradients[j];
  }
  EXPECT_NEAR(sum.loss_sum, together.loss.loss_sum, 1e-4);
  EXPECT_LT(relative_difference(gradients, together.gradients), 1e-5);
}

TEST(Objective, Bf16StaysNearFp32) {
  const Weights weights = some_weights(3), teacher = some_weights(4);
  OtherNetwork source(teacher);
  const Objective objective{.soft = {.weight = 1}, .teacher = &source};
  const Learnt exact = learn(weights, objective, some_batch());
  const Learnt rounded = learn(weights, objective, some_batch(), Precision::bf16);
  EXPECT_NEAR(rounded.loss.divergence_sum, exact.loss.divergence_sum,
              2e-2 * exact.loss.divergence_sum);
  EXPECT_LT(relative_difference(rounded.gradients, exact.gradients), 3e-2);
}

}  // namespace
}  // namespace retort::model
