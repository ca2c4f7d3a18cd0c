// Objectives that weigh rows: their gradients are those of PyTorch's autograd and of differences,
// the mean of the sampled one is the exact one, and nothing depends on how pairs are packed.
#include "train/weighing_internal.h"

#include <gtest/gtest.h>

#include <cmath>

#include "json/value.h"
#include "kernels/cross_entropy.h"
#include "kernels/gradient_check.h"
#include "train/test_rows_internal.h"

namespace retort::train {
namespace {

using kernels::relative_difference;

template <class T>
std::vector<T> numbers(const json::Value& list) {
  std::vector<T> out;
  for (const json::Value& item : list.as_array()) out.push_back(static_cast<T>(item.as_number()));
  return out;
}

// Rows of logits with PyTorch's results (tests/golden/objectives/make.py).
struct Golden {
  json::Value file = *json::parse(
      *base::read_file(std::string(RETORT_SOURCE_DIR) + "/tests/golden/objectives/expected.json"));
  int64_t rows = *file.int_at("rows"), vocab = *file.int_at("vocab");

  void expect_equal(model::RowWeigher& weigher, const json::Value& c,
                    std::vector<int32_t> doc_starts) const {
    std::vector<float> logits = numbers<float>(*file.find("logits")), nll(3), weights(3);
    const auto targets = numbers<int32_t>(*file.find("targets"));
    kernels::CrossEntropy<float> args{.rows = rows,
                                      .vocab = vocab,
                                      .logits = logits.data(),
                                      .targets = targets.data(),
                                      .nll = nll.data()};
    kernels::cross_entropy(args);
    model::Batch batch{.tokens = targets, .targets = targets, .doc_starts = std::move(doc_starts)};
    batch.reference = numbers<float>(*c.find("reference"));
    if (c.find("drawn") != nullptr) batch.drawn = numbers<float>(*c.find("drawn"));
    const auto loss = weigher.weigh(batch, std::vector<int32_t>{0, 1, 2}, nll, weights);
    EXPECT_NEAR(loss.sum, *c.number_at("loss"), 2e-6 * std::abs(*c.number_at("loss")) + 1e-6);
    args.row_weights = weights.data();
    args.dlogits = logits.data();
    kernels::cross_entropy(args);
    EXPECT_LT(relative_difference(logits, numbers<float>(*c.find("gradient"))), 3e-6);
  }
};

TEST(SampledReverseKl, EqualsPyTorch) {
  const Golden golden;
  SampledReverseKl weigher;
  for (const json::Value& c : golden.file.find("sampled")->as_array()) {
    golden.expect_equal(weigher, c, {0, 3});
  }
}

TEST(Preference, EqualsPyTorch) {
  const Golden golden;
  for (const json::Value& c : golden.file.find("preference")->as_array()) {
    Preference weigher(*c.number_at("beta"), *c.number_at("smoothing"));
    golden.expect_equal(weigher, c, {0, 1, 3});
  }
}

model::Config tiny() {
  model::Config config = tiny_config();
  config.vocab = 11;
  config.layers = 1;
  return config;
}

model::Weights lively(uint64_t seed) {
  model::Weights weights = model::Weights::random(tiny(), seed);
  for (float& w : weights.block()) w *= 4;
  return weights;
}

class OtherNetwork : public model::LogitSource {
 public:
  explicit OtherNetwork(const model::Weights& weights)
      : network_(weights, 100, model::Precision::fp32, nullptr, model::Use::inference) {}
  void start(const model::Batch& batch) override { network_.forward(batch); }
  void logits(std::span<const int32_t> rows, float* to) override { network_.logits(rows, to); }

 private:
  model::Network network_;
};

std::vector<double> probabilities(const model::Weights& weights, const model::Batch& batch) {
  const auto logits = model::Network(weights, 100, model::Precision::fp32).logits(batch);
  const int64_t vocab = weights.config().vocab;
  const float* last = logits.data() + logits.size() - vocab;
  std::vector<double> p(last, last + vocab);
  double total = 0;
  for (double& z : p) total += z = std::exp(z);
  for (double& z : p) z /= total;
  return p;
}

// The mean over all tokens that may be drawn, each by its probability, without chance: on the
// student's own distribution and on another one, whose importance weights stay below the cut.
TEST(SampledReverseKl, ItsMeanIsTheGradientOfTheExactReverseKl) {
  const model::Weights student = lively(3), teacher = lively(4);
  model::Batch batch{.tokens = {3, 1, 4}, .targets = {-1, -1, 0}, .doc_starts = {0, 3}};
  OtherNetwork source(teacher);
  std::vector<float> exact(student.block().size());
  model::Network network(student, 3, model::Precision::fp32);
  network.set_objective({.hard = {.weight = 0},
                         .soft = {.weight = 1, .divergence = kernels::Divergence::reverse_kl},
                         .teacher = &source});
  const double divergence = network.forward_backward(batch, 1, exact).divergence_sum;
  const auto p = probabilities(student, batch), q = probabilities(teacher, batch);
  SampledReverseKl weigher;
  network.set_objective({.weigher = &weigher});
  for (const double own : {1.0, 0.6}) {
    std::vector<double> mean(exact.size());
    double estimate = 0;
    for (int32_t y = 0; y < tiny().vocab; ++y) {
      const double drawn = own * p[y] + (1 - own) / static_cast<double>(tiny().vocab);
      batch.targets[2] = y;
      batch.reference = {0, 0, static_cast<float>(std::log(q[y]))};
      batch.drawn = {0, 0, static_cast<float>(std::log(drawn))};
      batch.baselines = {own == 1 ? -0.7F : 0.3F};
      std::vector<float> one(exact.size());
      estimate += drawn * network.forward_backward(batch, 1, one).loss_sum;
      for (size_t i = 0; i < one.size(); ++i) mean[i] += drawn * one[i];
    }
    EXPECT_NEAR(estimate, divergence, 1e-5);
    EXPECT_LT(relative_difference(std::vector<float>(mean.begin(), mean.end()), exact), 2e-5);
  }
}

// Two pairs; the second token of each document is not learnt.
model::Batch two_pairs() {
  model::Batch batch{.tokens = {1, 2, 3, 1, 2, 4, 9, 8, 8, 7, 8},
                     .targets = {5, -1, 6, 2, -1, 9, 10, 1, -1, 3, 3},
                     .doc_starts = {0, 3, 6, 9, 11}};
  batch.reference = kernels::random_floats(11, 5);
  for (float& r : batch.reference) r -= 2;
  return batch;
}

TEST(Preference, HasTheGradientOfItsLoss) {
  model::Weights weights = lively(3);
  const model::Batch batch = two_pairs();
  Preference weigher(0.7, 0.1);
  model::Network network(weights, 11, model::Precision::fp32);
  network.set_objective({.weigher = &weigher});
  std::vector<float> gradients(weights.block().size());
  const model::LossSum loss = network.forward_backward(batch, 0.5F, gradients);
  EXPECT_EQ(loss.units, 2);
  EXPECT_DOUBLE_EQ(loss.loss(), loss.loss_sum / 2);
  kernels::expect_gradient(weights.block(), [&] { return network.loss(batch).loss_sum * 0.5; },
                           gradients, {.step = 5e-3, .tolerance = 5e-3, .every = 23});
}

TEST(Preference, PairsAloneAreWhatTheyAreTogether) {
  const model::Weights weights = lively(3);
  const model::Batch batch = two_pairs();
  Preference weigher(0.7, 0);
  model::Network network(weights, 11, model::Precision::fp32);
  network.set_objective({.weigher = &weigher});
  std::vector<float> together(weights.block().size()), alone(together.size());
  model::LossSum sum;
  const model::LossSum whole = network.forward_backward(batch, 1, together);
  for (size_t doc = 0; doc < 4; doc += 2) {
    const auto a = batch.doc_starts[doc], b = batch.doc_starts[doc + 1],
               c = batch.doc_starts[doc + 2];
    model::Batch pair{.tokens = {batch.tokens.begin() + a, batch.tokens.begin() + c},
                      .targets = {batch.targets.begin() + a, batch.targets.begin() + c},
                      .doc_starts = {0, b - a, c - a}};
    pair.reference = {batch.reference.begin() + a, batch.reference.begin() + c};
    sum.add(network.forward_backward(pair, 1, alone));
  }
  EXPECT_NEAR(sum.loss_sum, whole.loss_sum, 1e-5);
  EXPECT_EQ(sum.agreed, whole.agreed);
  EXPECT_EQ(sum.units, 2);
  EXPECT_LT(relative_difference(alone, together), 1e-5);
}

TEST(Preference, OfTheFirstWeightsThemselvesIsLogTwo) {
  model::Batch batch{.tokens = {0, 1}, .targets = {0, 1}, .doc_starts = {0, 1, 2}};
  batch.reference = {-3, -4};
  std::vector<float> weights(2);
  const auto loss = Preference(0.1, 0).weigh(batch, std::vector<int32_t>{0, 1},
                                             std::vector<float>{3, 4}, weights);
  EXPECT_DOUBLE_EQ(loss.sum, std::log(2.0));
  EXPECT_EQ(weights, (std::vector<float>{0.05F, -0.05F}));
}

TEST(Preference, StaysFiniteHoweverFarApart) {
  model::Batch batch{.tokens = {0, 1}, .targets = {0, 1}, .doc_starts = {0, 1, 2}};
  for (const float far : {-1e5F, 1e5F}) {
    batch.reference = {far, 0};
    std::vector<float> weights(2);
    const auto loss = Preference(1, 0).weigh(batch, std::vector<int32_t>{0, 1},
                                             std::vector<float>{1, 1}, weights);
    EXPECT_NEAR(loss.sum, far > 0 ? 1e5 : 0, 1);
    EXPECT_NEAR(weights[0], far > 0 ? 1 : 0, 1e-6);
    EXPECT_EQ(loss.agreed, far > 0 ? 0 : 1);
  }
}

}  // namespace
}  // namespace retort::train
