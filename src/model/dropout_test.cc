#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/gradient_check.h"
#include "model/network.h"
#include "model/testing_internal.h"

namespace retort::model {
namespace {

using kernels::expect_gradient;
using kernels::relative_difference;

Batch dropping_batch() {
  Batch batch = make_batch({7, 1, 9}, 29, 4);
  batch.dropout_seeds = {11, 12, 13};
  return batch;
}

class Drops : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Families, Drops, ::testing::Values("llama3", "qwen2", "qwen3"),
                         [](const auto& test) { return test.param; });

TEST_P(Drops, WholeModelGradientByDifferences) {
  Weights weights = lively(family(GetParam()), 3);
  const Batch batch = dropping_batch();
  Network network(weights, 17, Precision::fp32);
  network.set_dropout(0.3F);
  std::vector<float> gradients(weights.block().size());
  network.forward_backward(batch, 0.125F, gradients);
  const auto loss = [&] { return network.loss(batch).nll_sum * 0.125; };
  for (const TensorInfo& info : weights.tensors()) {
    SCOPED_TRACE(info.name);
    const auto gradient = std::span(gradients).subspan(static_cast<size_t>(info.offset),
                                                       static_cast<size_t>(info.size()));
    expect_gradient(weights.tensor(info.name), loss, gradient,
                    {.step = 5e-3, .tolerance = 5e-3, .every = info.size() > 100 ? 7u : 1u});
  }
}

TEST(DropoutTest, ABatchWithoutSeedsDropsNothing) {
  const Weights weights = lively(tiny(true), 3);
  Batch batch = dropping_batch();
  Network whole(weights, 17, Precision::fp32), dropping(weights, 17, Precision::fp32);
  dropping.set_dropout(0.3F);
  EXPECT_NE(dropping.loss(batch).nll_sum, whole.loss(batch).nll_sum);
  batch.dropout_seeds.clear();
  EXPECT_EQ(dropping.loss(batch).nll_sum, whole.loss(batch).nll_sum);
}

TEST(DropoutTest, WhatIsDroppedGoesWithTheDocument) {
  const Weights weights = lively(tiny(false), 3);
  const Batch batch = dropping_batch();
  Network network(weights, 17, Precision::fp32);
  network.set_dropout(0.3F);
  std::vector<float> packed(weights.block().size()), alone(packed.size());
  const double nll = network.forward_backward(batch, 1, packed).nll_sum;
  double sum = 0;
  for (size_t doc = batch.dropout_seeds.size(); doc-- > 0;) {
    const auto begin = batch.doc_starts[doc], end = batch.doc_starts[doc + 1];
    Batch one{{batch.tokens.begin() + begin, batch.tokens.begin() + end},
              {batch.targets.begin() + begin, batch.targets.begin() + end},
              {0, end - begin}};
    one.dropout_seeds = {batch.dropout_seeds[doc]};
    sum += network.forward_backward(one, 1, alone).nll_sum;
  }
  EXPECT_NEAR(nll, sum, 1e-5 * nll);
  EXPECT_LT(relative_difference(packed, alone), 1e-5);
}

// The mean over many seeds is the residual stream without: only then is nothing to be changed when
// the student answers.
TEST(DropoutTest, ExpectsWhatStandsThereWithout) {
  Config config = tiny(true);
  config.layers = 1;
  const Weights weights = lively(config, 3);
  Batch batch = make_batch({9}, 29, 4);
  Network network(weights, 9, Precision::fp32);
  network.set_dropout(0.5F);
  std::vector<float> input;
  network.observe([&](const BlockView& view) {
    if (view.block == 0) input.assign(view.input.begin(), view.input.end());
  });
  network.forward(batch);
  const std::vector<float> whole = input;
  std::vector<double> mean(whole.size());
  constexpr int kSeeds = 500;
  for (int seed = 0; seed < kSeeds; ++seed) {
    batch.dropout_seeds = {static_cast<uint64_t>(seed)};
    network.forward(batch);
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += static_cast<double>(input[i]) / kSeeds;
  }
  for (size_t i = 0; i < mean.size(); ++i) {
    EXPECT_NEAR(mean[i], whole[i], 5 * std::abs(whole[i]) / std::sqrt(kSeeds)) << i;
  }
}

}  // namespace
}  // namespace retort::model
