#include <gtest/gtest.h>

#include <vector>

#include "model/network.h"
#include "model/testing_internal.h"

namespace retort::model {
namespace {

struct Learnt {
  double loss = 0;
  std::vector<float> gradients;
};

Learnt learn(const Weights& weights, const Batch& batch, Precision precision, Use use,
             const Adapter* adapter = nullptr) {
  Network network(weights, static_cast<int64_t>(batch.tokens.size()), precision, adapter, use);
  network.set_dropout(0.25F);
  Learnt out;
  out.gradients.resize(adapter == nullptr ? weights.block().size() : adapter->block().size());
  // Twice: what the first pass left behind must not matter to the second.
  for (int pass = 0; pass < 2; ++pass) {
    std::fill(out.gradients.begin(), out.gradients.end(), 0.0F);
    out.loss = network.forward_backward(batch, 0.125F, out.gradients).nll_sum;
  }
  return out;
}

class Recompute : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Families, Recompute, ::testing::Values("llama3", "qwen2", "qwen3"),
                         [](const auto& test) { return test.param; });

TEST_P(Recompute, GivesTheSameBytes) {
  Config config = family(GetParam());
  config.layers = 4;
  const Weights weights = lively(config, 3);
  Batch batch = make_batch({7, 1, 9}, 29, 4);
  for (const bool drops : {false, true}) {
    if (drops) batch.dropout_seeds = {3, 4, 5};
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
      const Learnt kept = learn(weights, batch, precision, Use::training);
      const Learnt made_again = learn(weights, batch, precision, Use::recomputing);
      EXPECT_EQ(kept.loss, made_again.loss);
      EXPECT_EQ(kept.gradients, made_again.gradients);
    }
  }
}

TEST(RecomputeTest, GivesTheSameBytesBesideFrozenWeights) {
  Config config = tiny(true);
  config.layers = 3;
  const Weights weights = lively(config, 3);
  const Batch batch = make_batch({7, 1, 9}, 29, 4);
  const LoraConfig choices[] = {{.rank = 2, .alpha = 4},
                                {.rank = 2, .alpha = 4, .targets = {Projection::down}}};
  for (const LoraConfig& lora : choices) {
    Adapter adapter = Adapter::random(config, lora, 7);
    for (float& value : adapter.block()) value += 0.1F;
    const Learnt kept = learn(weights, batch, Precision::fp32, Use::training, &adapter);
    const Learnt again = learn(weights, batch, Precision::fp32, Use::recomputing, &adapter);
    EXPECT_EQ(kept.gradients, again.gradients);
  }
}

TEST(RecomputeTest, TakesAFractionOfTheMemory) {
  const Config config = {.vocab = 1000,
                         .width = 576,
                         .layers = 30,
                         .heads = 9,
                         .kv_heads = 3,
                         .head_dim = 64,
                         .ffn = 1536};
  const int64_t weights = config.parameters() * 2;  // their rounded copies
  const auto bytes = [&](Use use) {
    return Network::memory_bytes(config, 4096, Precision::bf16, nullptr, use) - weights;
  };
  EXPECT_LT(4 * bytes(Use::recomputing), bytes(Use::training));
  EXPECT_GT(bytes(Use::recomputing), bytes(Use::inference));
}

}  // namespace
}  // namespace retort::model
