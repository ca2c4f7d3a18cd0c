// The network with an adapter: against differences, against PEFT, and against merged weights.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/gradient_check.h"
#include "model/network.h"
#include "model/testing_internal.h"

namespace retort::model {
namespace {

using kernels::relative_difference;

Adapter lively_adapter(const Config& config, LoraConfig lora, double deviation = 0.3) {
  Adapter adapter(config, lora);
  const auto values = kernels::random_floats(static_cast<int64_t>(adapter.block().size()), 7);
  std::ranges::transform(values, adapter.block().begin(),
                         [&](float v) { return static_cast<float>(v * deviation); });
  return adapter;
}

struct Case {
  const char* family;
  std::vector<Projection> targets;
  const char* name;
};

// Every matrix as the lowest, alone and beside others.
const Case kCases[] = {{"llama", {std::begin(kProjections), std::end(kProjections)}, "all"},
                       {"llama3", {Projection::q, Projection::v}, "q_v"},
                       {"qwen2", {Projection::k, Projection::o, Projection::up}, "k_o_up"},
                       {"qwen3", {std::begin(kProjections), std::end(kProjections)}, "norms_all"},
                       {"qwen3", {Projection::o}, "o"},
                       {"qwen2", {Projection::gate, Projection::down}, "gate_down"},
                       {"llama", {Projection::up}, "up"},
                       {"llama", {Projection::down}, "down"}};

class AdapterPassTest : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Targets, AdapterPassTest, ::testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param.name; });

TEST_P(AdapterPassTest, GradientByDifferences) {
  const Config config = family(GetParam().family);
  const Weights weights = lively(config, 3);
  Adapter adapter = lively_adapter(config, {.rank = 3, .alpha = 2, .targets = GetParam().targets});
  const Batch batch = make_batch({7, 1, 9}, 29, 4);
  Network network(weights, 17, Precision::fp32, &adapter);
  std::vector<float> gradients(adapter.block().size());
  network.forward_backward(batch, 0.125f, gradients);
  const auto loss = [&] {
    network.refresh();
    return network.loss(batch).nll_sum * 0.125;
  };
  for (const TensorInfo& info : adapter.tensors()) {
    SCOPED_TRACE(info.name);
    const auto first = static_cast<size_t>(info.offset), size = static_cast<size_t>(info.size());
    kernels::expect_gradient(adapter.block().subspan(first, size), loss,
                             std::span(gradients).subspan(first, size),
                             {.step = 5e-3, .tolerance = 5e-3, .every = 5});
  }
}

TEST_P(AdapterPassTest, MergedWeightsAreTheSameModel) {
  Config config = family(GetParam().family);
  config.width = 32;
  Weights weights = lively(config, 3);
  const Adapter adapter =
      lively_adapter(config, {.rank = 3, .alpha = 2, .targets = GetParam().targets});
  const Batch batch = make_batch({7, 1, 9}, 29, 4);
  const double without = Network(weights, 17, Precision::fp32).loss(batch).nll_sum;
  Network fp32(weights, 17, Precision::fp32, &adapter),
      bf16(weights, 17, Precision::bf16, &adapter);
  const auto logits = fp32.logits(batch), rounded = bf16.logits(batch);
  EXPECT_GT(std::abs(fp32.loss(batch).nll_sum - without), 0.1);
  merge(weights, adapter);
  EXPECT_LT(relative_difference(Network(weights, 17, Precision::fp32).logits(batch), logits), 1e-6);
  EXPECT_LT(relative_difference(Network(weights, 17, Precision::bf16).logits(batch), rounded),
            1e-6);
}

TEST_P(AdapterPassTest, Bf16ComesCloseAndBothRepeatBitForBit) {
  Config config = family(GetParam().family);
  config.width = 64;
  const Weights weights = Weights::random(config, 5);
  const Adapter adapter =
      lively_adapter(config, {.rank = 4, .alpha = 2, .targets = GetParam().targets}, 0.05);
  const Batch batch = make_batch({40, 3, 85}, 29, 8);
  const auto run = [&](Precision precision) {
    Network network(weights, 128, precision, &adapter);
    std::vector<float> gradients(adapter.block().size()), again(gradients.size());
    network.forward_backward(batch, 1, gradients);
    network.refresh();
    network.forward_backward(batch, 1, again);
    EXPECT_EQ(gradients, again);
    network.forward_backward(batch, 1, again);
    for (float& value : again) value /= 2;
    EXPECT_LT(relative_difference(again, gradients), 1e-6) << "gradients are not added";
    return gradients;
  };
  const auto exact = run(Precision::fp32), rounded = run(Precision::bf16);
  double difference = 0;
  for (size_t i = 0; i < exact.size(); ++i)
    difference += std::pow(double{rounded[i]} - exact[i], 2);
  const double norm = std::sqrt(kernels::weighted_sum(exact, exact));
  EXPECT_GT(difference, 0) << "bf16 products were not used";
  EXPECT_LT(std::sqrt(difference) / norm, 2e-2);
}

TEST(AdapterNetworkTest, FreshOneChangesNothingUntilItLearns) {
  const Config config = family("qwen3");
  const Weights weights = lively(config, 3);
  Adapter adapter = Adapter::random(config, {.rank = 4}, 1);
  const Batch batch = make_batch({9, 4}, 29, 10);
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    Network network(weights, 13, precision, &adapter);
    EXPECT_EQ(network.logits(batch), Network(weights, 13, precision).logits(batch));
    const Adapter kept = adapter;
    std::vector<float> gradients(adapter.block().size());
    const double before = network.forward_backward(batch, 1, gradients).nll_sum;
    for (size_t i = 0; i < gradients.size(); ++i) adapter.block()[i] -= 1e-3f * gradients[i];
    network.refresh();
    EXPECT_LT(network.loss(batch).nll_sum, before);
    adapter = kept;
  }
}

TEST(AdapterNetworkTest, MemoryIsThatOfTheAdapterMore) {
  const Config config = student_shape();
  const LoraConfig lora = {.rank = 8};
  const int64_t matrices = config.parameters() - 4096 * 256;
  const auto more = [&](Precision precision) {
    return Network::memory_bytes(config, 1024, precision, &lora) -
           Network::memory_bytes(config, 1024, precision);
  };
  EXPECT_LT(more(Precision::bf16), int64_t{4} << 20);
  // Frozen matrices and their sums with the adapter are two.
  EXPECT_NEAR(static_cast<double>(more(Precision::fp32)), 4.0 * static_cast<double>(matrices), 5e6);
}

class PeftPass : public ::testing::TestWithParam<PeftAdapter> {};
INSTANTIATE_TEST_SUITE_P(Adapters, PeftPass, ::testing::ValuesIn(kPeftAdapters),
                         [](const auto& test) { return test.param.base; });

// What PEFT and PyTorch made of the same files (tests/golden/model/make_lora.py).
TEST_P(PeftPass, LossLogitsAndGradientsEqualPefts) {
  const std::string folder = golden(GetParam().base), made = base::join(folder, GetParam().adapter);
  const auto weights = load_weights(folder);
  ASSERT_TRUE(weights.ok()) << weights.error().text();
  const auto adapter = load_adapter(made, weights->config());
  ASSERT_TRUE(adapter.ok()) << adapter.error().text();
  const auto file = artifact::SafetensorsFile::open(base::join(made, "expected.safetensors"));
  ASSERT_TRUE(file.ok());
  double unused = 0;
  const Batch batch = golden_batch(folder, &unused);
  Network network(*weights, static_cast<int64_t>(batch.tokens.size()), Precision::fp32, &*adapter);
  std::vector<float> gradients(adapter->block().size());
  const LossSum loss = network.forward_backward(batch, 1.0f, gradients);
  const double nll_sum = expected(*file, "nll_sum").front();
  EXPECT_NEAR(loss.nll_sum, nll_sum, 1e-5 * nll_sum);
  EXPECT_LT(relative_difference(network.logits(batch), expected(*file, "logits")), 2e-5);
  for (const TensorInfo& info : adapter->tensors()) {
    const auto mine = std::span(gradients).subspan(static_cast<size_t>(info.offset),
                                                   static_cast<size_t>(info.size()));
    EXPECT_LT(relative_difference(mine, expected(*file, "gradient." + info.name)), 3e-5)
        << info.name;
  }
}

}  // namespace
}  // namespace retort::model
