#include "model/network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/random.h"
#include "kernels/gradient_check.h"
#include "model/testing_internal.h"

namespace retort::model {
namespace {

using kernels::expect_gradient;
using kernels::relative_difference;

Batch document(const Batch& batch, size_t index) {
  const auto begin = batch.doc_starts[index];
  const auto end = batch.doc_starts[index + 1];
  return {{batch.tokens.begin() + begin, batch.tokens.begin() + end},
          {batch.targets.begin() + begin, batch.targets.begin() + end},
          {0, end - begin}};
}

struct PassResult {
  LossSum loss;
  std::vector<float> gradients;
};

PassResult run(const Weights& weights, const Batch& batch, Precision precision = Precision::fp32) {
  Network network(weights, static_cast<int64_t>(batch.tokens.size()), precision);
  PassResult result;
  result.gradients.resize(weights.block().size());
  result.loss = network.forward_backward(batch, 0.125f, result.gradients);
  return result;
}

class Family : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Families, Family, ::testing::Values("llama3", "qwen2", "qwen3"),
                         [](const auto& test) { return test.param; });

class Tied : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Embeddings, Tied, ::testing::Values(true, false),
                         [](const auto& test) { return test.param ? "tied" : "untied"; });

void expect_whole_gradient(const Config& config) {
  Weights weights = lively(config, 3);
  const Batch batch = make_batch({7, 1, 9}, 29, 4);
  const PassResult result = run(weights, batch);
  Network network(weights, 17, Precision::fp32);
  const auto loss = [&] { return network.loss(batch).nll_sum * 0.125; };
  // Tensor by tensor, so that a small one is not hidden behind a large one.
  for (const TensorInfo& info : weights.tensors()) {
    SCOPED_TRACE(info.name);
    const auto gradient =
        std::span(result.gradients)
            .subspan(static_cast<size_t>(info.offset), static_cast<size_t>(info.size()));
    expect_gradient(weights.tensor(info.name), loss, gradient,
                    {.step = 5e-3, .tolerance = 5e-3, .every = info.size() > 100 ? 7u : 1u});
  }
}

TEST_P(Tied, WholeModelGradientByDifferences) {
  expect_whole_gradient(tiny(GetParam()));
}

TEST_P(Family, WholeModelGradientByDifferences) {
  expect_whole_gradient(family(GetParam()));
}

TEST_P(Family, RepeatsBitForBitAndBf16ComesClose) {
  Config config = family(GetParam());
  config.width = 64;
  // A fresh model's matrices, which rounding does not throw far, with biases and norms that count.
  Weights weights = Weights::random(config, 5);
  const Weights other = lively(config, 5);
  for (const TensorInfo& info : weights.tensors()) {
    if (info.is_vector)
      std::ranges::copy(other.tensor(info.name), weights.tensor(info.name).data());
  }
  const Batch batch = make_batch({40, 3, 85}, 29, 8);
  const PassResult exact = run(weights, batch), again = run(weights, batch);
  EXPECT_EQ(exact.gradients, again.gradients);
  const PassResult rounded = run(weights, batch, Precision::bf16);
  EXPECT_EQ(rounded.gradients, run(weights, batch, Precision::bf16).gradients);
  EXPECT_NEAR(rounded.loss.nll_sum, exact.loss.nll_sum, 2e-3 * exact.loss.nll_sum);
  double difference = 0;
  for (size_t i = 0; i < exact.gradients.size(); ++i) {
    const double d = static_cast<double>(rounded.gradients[i]) - exact.gradients[i];
    difference += d * d;
  }
  const double norm = std::sqrt(kernels::weighted_sum(exact.gradients, exact.gradients));
  EXPECT_LT(std::sqrt(difference) / norm, 2e-2);
}

TEST_P(Tied, PackedEqualsTheSumOfSingleDocuments) {
  const Weights weights = lively(tiny(GetParam()), 3);
  const Batch batch = make_batch({5, 30, 1, 61}, 29, 5);
  const PassResult packed = run(weights, batch);
  double nll = 0;
  int64_t tokens = 0;
  std::vector<float> gradients(weights.block().size());
  Network single(weights, 61, Precision::fp32);
  for (size_t i = 0; i + 1 < batch.doc_starts.size(); ++i) {
    const LossSum loss = single.forward_backward(document(batch, i), 0.125f, gradients);
    nll += loss.nll_sum;
    tokens += loss.tokens;
  }
  EXPECT_EQ(packed.loss.tokens, tokens);
  EXPECT_NEAR(packed.loss.nll_sum, nll, 1e-5 * nll);
  EXPECT_LT(relative_difference(packed.gradients, gradients), 1e-5);
}

TEST(NetworkTest, OrderOfDocumentsDoesNotMatter) {
  const Weights weights = lively(tiny(true), 3);
  const Batch batch = make_batch({5, 30, 12, 61}, 29, 6);
  Batch reversed;
  reversed.doc_starts.push_back(0);
  for (size_t i = batch.doc_starts.size() - 1; i-- > 0;) {
    const Batch one = document(batch, i);
    reversed.tokens.insert(reversed.tokens.end(), one.tokens.begin(), one.tokens.end());
    reversed.targets.insert(reversed.targets.end(), one.targets.begin(), one.targets.end());
    reversed.doc_starts.push_back(static_cast<int32_t>(reversed.tokens.size()));
  }
  const PassResult first = run(weights, batch);
  const PassResult second = run(weights, reversed);
  EXPECT_NEAR(first.loss.nll_sum, second.loss.nll_sum, 1e-5 * first.loss.nll_sum);
  EXPECT_LT(relative_difference(first.gradients, second.gradients), 1e-5);
}

TEST(NetworkTest, RepeatsBitForBitAndAddsToTheGradients) {
  const Weights weights = lively(tiny(false), 3);
  const Batch batch = make_batch({50, 30}, 29, 7);
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    Network network(weights, 80, precision);
    std::vector<float> first(weights.block().size()), second(first.size());
    const LossSum one = network.forward_backward(batch, 1, first);
    const LossSum two = network.forward_backward(batch, 1, second);
    EXPECT_EQ(one.nll_sum, two.nll_sum);
    EXPECT_EQ(first, second);
    network.forward_backward(batch, 1, second);
    for (float& g : first) g *= 2;
    EXPECT_LT(relative_difference(second, first), 1e-6);
  }
}

TEST(NetworkTest, Bf16ComesCloseToFp32) {
  const Config config = {
      .vocab = 211, .width = 64, .layers = 3, .heads = 4, .kv_heads = 2, .head_dim = 16, .ffn = 96};
  const Weights weights = Weights::random(config, 9);
  const Batch batch = make_batch({40, 85, 3}, 211, 8);
  const PassResult exact = run(weights, batch, Precision::fp32);
  const PassResult rounded = run(weights, batch, Precision::bf16);
  EXPECT_NEAR(rounded.loss.nll_sum, exact.loss.nll_sum, 2e-3 * exact.loss.nll_sum);
  const double norm = std::sqrt(kernels::weighted_sum(exact.gradients, exact.gradients));
  double difference = 0;
  for (size_t i = 0; i < exact.gradients.size(); ++i) {
    const double d = static_cast<double>(rounded.gradients[i]) - exact.gradients[i];
    difference += d * d;
  }
  EXPECT_GT(difference, 0) << "bf16 products were not used";
  EXPECT_LT(std::sqrt(difference) / norm, 2e-2);
}

TEST(NetworkTest, LossesStandAtTheirTargetsAndAgreeWithTheLogits) {
  const Weights weights = lively(tiny(false), 3);
  const Batch batch = make_batch({5, 8}, 29, 9);
  Network network(weights, 20, Precision::fp32);
  std::vector<float> nll(13);
  const LossSum loss = network.loss(batch, nll);
  const std::vector<float> logits = network.logits(batch);
  ASSERT_EQ(logits.size(), 13u * 29);
  double total = 0;
  for (size_t i = 0; i < 13; ++i) {
    if (batch.targets[i] < 0) {
      EXPECT_EQ(nll[i], 0);
      continue;
    }
    double sum = 0;
    for (size_t v = 0; v < 29; ++v) sum += std::exp(static_cast<double>(logits[i * 29 + v]));
    EXPECT_NEAR(nll[i], std::log(sum) - logits[i * 29 + batch.targets[i]], 1e-5);
    total += nll[i];
  }
  EXPECT_NEAR(loss.nll_sum, total, 1e-5);
}

TEST(NetworkTest, NothingCountedGivesNoLossAndNoGradient) {
  const Weights weights = lively(tiny(true), 3);
  Batch batch = make_batch({5}, 29, 9);
  std::fill(batch.targets.begin(), batch.targets.end(), -1);
  const PassResult result = run(weights, batch);
  EXPECT_EQ(result.loss.tokens, 0);
  EXPECT_EQ(result.loss.nll_sum, 0);
  for (const float g : result.gradients) ASSERT_EQ(g, 0);
}

TEST(NetworkTest, RefreshTakesChangedWeights) {
  Weights weights = lively(tiny(true), 3);
  const Batch batch = make_batch({9, 4}, 29, 10);
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    Network kept(weights, 13, precision);
    const double before = kept.loss(batch).nll_sum;
    for (float& w : weights.block()) w *= 0.9f;
    kept.refresh();
    EXPECT_NE(kept.loss(batch).nll_sum, before);
    EXPECT_EQ(kept.loss(batch).nll_sum, Network(weights, 13, precision).loss(batch).nll_sum);
  }
}

TEST(NetworkTest, MemoryIsKnownBefore) {
  const Config config = student_shape();
  const int64_t fp32 = Network::memory_bytes(config, 4096, Precision::fp32);
  const int64_t bf16 = Network::memory_bytes(config, 4096, Precision::bf16);
  EXPECT_GT(fp32, int64_t{400} << 20);
  EXPECT_LT(fp32, int64_t{700} << 20);
  EXPECT_LT(bf16, fp32);
}

TEST_P(Family, ANetworkForInferenceGivesTheSameInLessMemory) {
  const Config config = family(GetParam());
  const Weights weights = lively(config, 3);
  const Batch batch = make_batch({7, 1, 9}, 29, 4);
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    Network training(weights, 17, precision);
    Network inference(weights, 17, precision, nullptr, Use::inference);
    EXPECT_EQ(inference.logits(batch), training.logits(batch));
    EXPECT_EQ(inference.loss(batch).nll_sum, training.loss(batch).nll_sum);
    Config deep = config;
    deep.layers = 30;
    EXPECT_LT(3 * Network::memory_bytes(deep, 1000, precision, nullptr, Use::inference),
              Network::memory_bytes(deep, 1000, precision));
  }
}

}  // namespace
}  // namespace retort::model
