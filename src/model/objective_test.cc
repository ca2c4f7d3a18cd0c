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

// What PyTorch's autograd says of each objective (tests/golden/objectives/make.py).
struct GoldenRows {
  json::Value value;
  std::vector<float> logits, teacher, weights;
  std::vector<int32_t> targets;
  int64_t rows = 0, vocab = 0;
};

template <class T>
std::vector<T> numbers(const json::Value& list) {
  std::vector<T> out;
  for (const json::Value& item : list.as_array()) out.push_back(static_cast<T>(item.as_number()));
  return out;
}

GoldenRows golden_rows() {
  const auto text =
      base::read_file(std::string(RETORT_SOURCE_DIR) + "/tests/golden/objectives/expected.json");
  GoldenRows g;
  g.value = *json::parse(*text, "expected.json");
  g.logits = numbers<float>(*g.value.find("logits"));
  g.teacher = numbers<float>(*g.value.find("teacher"));
  g.weights = numbers<float>(*g.value.find("weights"));
  g.targets = numbers<int32_t>(*g.value.find("targets"));
  g.rows = *g.value.int_at("rows");
  g.vocab = *g.value.int_at("vocab");
  return g;
}

// The teacher's log-probabilities of the ids that the file keeps, and the rest.
tensor::SparseTargets kept_of(const GoldenRows& g) {
  tensor::SparseTargets out;
  const auto& kept = g.value.find("kept_ids")->as_array();
  for (size_t row = 0; row < kept.size(); ++row) {
    const float* z = g.teacher.data() + static_cast<int64_t>(row) * g.vocab;
    double total = 0, mass = 0;
    for (int64_t v = 0; v < g.vocab; ++v) total += std::exp(static_cast<double>(z[v]));
    const auto ids = numbers<int32_t>(kept[row]);
    std::vector<float> logprobs;
    for (const int32_t id : ids) {
      logprobs.push_back(static_cast<float>(z[id] - std::log(total)));
      mass += std::exp(static_cast<double>(z[id])) / total;
    }
    out.add_row(ids, logprobs, static_cast<float>(1 - mass));
  }
  return out;
}

kernels::Divergence parse_divergence(const std::string& name) {
  using kernels::Divergence;
  if (name == "forward_kl") return Divergence::forward_kl;
  if (name == "reverse_kl") return Divergence::reverse_kl;
  if (name == "jsd") return Divergence::jsd;
  return name == "skew_kl" ? Divergence::skew_kl : Divergence::skew_reverse_kl;
}

TEST(Objective, EqualsPyTorch) {
  const GoldenRows g = golden_rows();
  const tensor::SparseTargets kept = kept_of(g);
  const std::vector<int32_t> rows = {0, 1, 2};
  int64_t cases = 0;
  for (const json::Value& c : g.value.find("cases")->as_array()) {
    SCOPED_TRACE(json::dump(*c.find("name")) + " " + std::to_string(cases++));
    const auto number = [&](const char* key) { return static_cast<float>(*c.number_at(key)); };
    std::vector<float> logits = g.logits, teacher = g.teacher, nll(3), loss(3), divergence(3);
    kernels::Distill<float> args{.base = {.rows = g.rows,
                                          .vocab = g.vocab,
                                          .logits = logits.data(),
                                          .targets = g.targets.data(),
                                          .nll = nll.data(),
                                          .dlogits = logits.data(),
                                          .hard = {.weight = 1 - number("soft"),
                                                   .label_smoothing = number("label_smoothing"),
                                                   .z_loss = number("z_loss")},
                                          .row_weights = g.weights.data(),
                                          .loss = loss.data()},
                                 .soft = {.weight = number("soft"),
                                          .divergence = parse_divergence(*c.string_at("name")),
                                          .mix = number("mix"),
                                          .temperature = number("temperature")},
                                 .divergence = divergence.data()};
    if (*c.bool_at("sparse")) {
      args.sparse = {kept.starts.data(), kept.ids.data(), kept.logprobs.data(), kept.tails.data(),
                     rows.data()};
    } else {
      args.teacher = teacher.data();
    }
    if (args.soft.weight == 0) {
      kernels::cross_entropy(args.base);
    } else {
      kernels::distill(args);
    }
    EXPECT_NEAR(loss[0] + loss[1] + loss[2], *c.number_at("loss"), 2e-5);
    const auto expected = numbers<float>(*c.find("gradient"));
    EXPECT_LT(relative_difference(logits, expected), 2e-6);
  }
  EXPECT_EQ(cases, 19);
}

}  // namespace
}  // namespace retort::model
