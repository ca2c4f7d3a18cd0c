#include "model/prune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/gradient_check.h"
#include "model/importance.h"
#include "model/testing_internal.h"

namespace retort::model {
namespace {

using kernels::relative_difference;
using testing::ElementsAre;
using testing::HasSubstr;

class Pruned : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Families, Pruned, ::testing::Values("llama", "llama3", "qwen2", "qwen3"),
                         [](const auto& test) { return test.param; });

Config three_layers(const std::string& name) {
  Config config = family(name);
  config.layers = 3;
  return config;
}

std::vector<float> logits_of(const Weights& weights, const Batch& batch) {
  Network network(weights, static_cast<int64_t>(batch.tokens.size()), Precision::fp32);
  return network.logits(batch);
}

enum class Side { rows, cols };

// Fills rows or columns of every tensor whose name ends so.
void zero(Weights& weights, const std::string& end, Side side, const std::vector<int64_t>& at) {
  int found = 0;
  for (const TensorInfo& info : weights.tensors()) {
    if (!info.name.ends_with(end)) continue;
    ++found;
    const auto values = weights.tensor(info.name);
    for (const int64_t index : at) {
      const int64_t count = side == Side::rows ? info.cols : info.rows;
      for (int64_t i = 0; i < count; ++i) {
        const int64_t row = side == Side::rows ? index : i, col = side == Side::rows ? i : index;
        values[static_cast<size_t>(row * info.cols + col)] = 0;
      }
    }
  }
  ASSERT_GT(found, 0) << end;
}

std::vector<int64_t> others(const std::vector<int64_t>& some, int64_t size) {
  std::vector<int64_t> out;
  for (int64_t i = 0; i < size; ++i) {
    if (std::ranges::find(some, i) == some.end()) out.push_back(i);
  }
  return out;
}

// Channels, heads and inner channels that write nothing, and a block that does not: what is left
// answers alike.
TEST_P(Pruned, PartsThatDoNothingAreLeftOutWithoutAChange) {
  const Config config = three_layers(GetParam());
  Weights weights = lively(config, 3);
  const std::vector<int64_t> no_width = {0, 5, 11}, no_ffn = {1, 2, 19}, no_kv = {0};
  for (const char* writes : {"embed_tokens.weight", "o_proj.weight", "down_proj.weight"}) {
    const bool embedding = std::string(writes).starts_with("embed");
    zero(weights, writes, embedding ? Side::cols : Side::rows, no_width);
  }
  zero(weights, "down_proj.weight", Side::cols, no_ffn);
  std::vector<int64_t> columns;  // of the heads that read key head 0
  const int64_t group = config.heads / config.kv_heads * config.head_dim;
  for (int64_t i = 0; i < group; ++i) columns.push_back(i);
  zero(weights, "o_proj.weight", Side::cols, columns);
  for (const char* last :
       {"model.layers.2.self_attn.o_proj.weight", "model.layers.2.mlp.down_proj.weight"}) {
    std::ranges::fill(weights.tensor(last), 0.0f);
  }

  PrunePlan plan = whole_plan(config);
  plan.layers = {0, 1};
  plan.width = others(no_width, config.width);
  plan.kv_heads.assign(2, others(no_kv, config.kv_heads));
  plan.ffn.assign(2, others(no_ffn, config.ffn));
  const Weights smaller = prune(weights, plan);
  EXPECT_EQ(smaller.config().layers, 2);
  EXPECT_EQ(smaller.config().width, config.width - 3);
  EXPECT_EQ(smaller.config().heads, config.heads / 2);
  EXPECT_EQ(smaller.config().ffn, config.ffn - 3);
  const Batch batch = make_batch({9, 1, 14}, static_cast<int32_t>(config.vocab), 4);
  const auto before = logits_of(weights, batch);
  EXPECT_LT(relative_difference(logits_of(smaller, batch), before), 2e-5);
  // A plan that leaves out what does something answers otherwise.
  plan.ffn.assign(2, others({3}, config.ffn));
  EXPECT_GT(relative_difference(logits_of(prune(weights, plan), batch), before), 1e-3);
}

TEST_P(Pruned, AWholePlanChangesNothing) {
  const Weights weights = lively(three_layers(GetParam()), 3);
  const Weights same = prune(weights, whole_plan(weights.config()));
  EXPECT_EQ(same.config(), weights.config());
  EXPECT_TRUE(std::ranges::equal(same.block(), weights.block()));
}

TEST_P(Pruned, KeptTokensHaveTheLogitsThatTheyHad) {
  const Config config = three_layers(GetParam());
  const Weights weights = lively(config, 3);
  PrunePlan plan = whole_plan(config);
  plan.vocab = {0, 3, 4, 7, 11, 20, 28};
  const Weights smaller = prune(weights, plan);
  ASSERT_EQ(smaller.config().vocab, 7);
  const Batch batch = make_batch({8, 5}, 7, 4);
  Batch in_old_ids = batch;
  for (size_t i = 0; i < batch.tokens.size(); ++i) {
    in_old_ids.tokens[i] = static_cast<int32_t>(plan.vocab[static_cast<size_t>(batch.tokens[i])]);
    in_old_ids.targets[i] = -1;
  }
  const auto before = logits_of(weights, in_old_ids), after = logits_of(smaller, batch);
  for (size_t token = 0; token < batch.tokens.size(); ++token) {
    for (size_t v = 0; v < 7; ++v) {
      const auto old = static_cast<size_t>(plan.vocab[v]);
      ASSERT_EQ(after[token * 7 + v], before[token * static_cast<size_t>(config.vocab) + old]);
    }
  }
}

TEST(ImportanceTest, TheLossIsWhatItWasAndTheWeightsToo) {
  const Config config = three_layers("qwen2");
  Weights weights = lively(config, 5);
  const std::vector<float> was(weights.block().begin(), weights.block().end());
  const std::vector<Batch> texts = {make_batch({9, 4}, 29, 6), make_batch({12}, 29, 7)};
  Network network(weights, 13, Precision::fp32);
  const double whole = network.loss(texts[0]).nll_sum + network.loss(texts[1]).nll_sum;
  measure_activations(network, config, texts);
  const auto without = losses_without_layers(network, weights, texts);
  ASSERT_EQ(without.size(), 3u);
  EXPECT_TRUE(std::ranges::equal(was, weights.block()));
  EXPECT_EQ(network.loss(texts[0]).nll_sum + network.loss(texts[1]).nll_sum, whole);
  for (int64_t layer = 0; layer < 3; ++layer) {
    PrunePlan plan = whole_plan(config);
    for (auto* list : {&plan.kv_heads, &plan.ffn}) list->pop_back();
    plan.layers.erase(plan.layers.begin() + layer);
    const Weights smaller = prune(weights, plan);
    Network less(smaller, 13, Precision::fp32);
    EXPECT_NEAR(without[static_cast<size_t>(layer)],
                less.loss(texts[0]).nll_sum + less.loss(texts[1]).nll_sum, 1e-4 * whole);
  }
}

// The measures against a slow calculation by their definitions, and both precisions alike.
TEST_P(Pruned, MeasuresWhatItsDefinitionsSay) {
  const Config config = three_layers(GetParam());
  const Weights weights = lively(config, 5);
  const std::vector<Batch> texts = {make_batch({9, 4}, 29, 6)};
  Network network(weights, 13, Precision::fp32);
  int views = 0;
  std::vector<double> width(static_cast<size_t>(config.width));
  std::vector<double> first_inner(static_cast<size_t>(config.ffn));
  network.observe([&](const BlockView& view) {
    EXPECT_EQ(view.block, views++);
    EXPECT_EQ(view.input.size(), 13 * width.size());
    for (const auto rows : {view.normed_in, view.normed_mid}) {
      for (size_t i = 0; i < rows.size(); ++i) {
        width[i % width.size()] += std::abs(static_cast<double>(rows[i])) / 13;
      }
    }
    for (size_t i = 0; view.block == 0 && i < view.inner.size(); ++i) {
      first_inner[i % first_inner.size()] += std::pow(static_cast<double>(view.inner[i]), 2) / 13;
    }
  });
  network.loss(texts[0]);
  EXPECT_EQ(views, 4);  // three blocks and the end
  const Importance found = measure_activations(network, config, texts);
  for (size_t i = 0; i < width.size(); ++i) EXPECT_NEAR(found.width[i], width[i], 1e-9);
  for (size_t i = 0; i < first_inner.size(); ++i) {
    EXPECT_NEAR(found.ffn[0][i], std::sqrt(first_inner[i]), 1e-9);
  }
  Network rounded(weights, 13, Precision::bf16);
  const Importance close = measure_activations(rounded, config, texts);
  for (size_t i = 0; i < width.size(); ++i) {
    EXPECT_NEAR(close.width[i], found.width[i], 0.1 * found.width[i]);
  }
}

TEST(ImportanceTest, HeadsThatSayNothingGoFirst) {
  const Config config = three_layers("llama");
  Weights weights = lively(config, 5);
  const auto values = weights.tensor("model.layers.1.self_attn.v_proj.weight");
  std::fill_n(values.begin(), config.head_dim * config.width, 0.0f);  // of key head 0
  const std::vector<Batch> texts = {make_batch({9, 4}, 29, 6)};
  Network network(weights, 13, Precision::fp32);
  const Importance found = measure_activations(network, config, texts);
  EXPECT_EQ(found.kv_heads[1][0], 0);
  const auto plan = plan_by_importance(config, found, {.layers = 0, .heads = 2});
  EXPECT_THAT(plan.kv_heads[1], ElementsAre(1));
  EXPECT_EQ(plan.layers.size(), 3u);
}

TEST(ImportanceTest, PlansKeepTheHighestInOrderAndRefuseWhatCannotBe) {
  const Config config = three_layers("llama");
  const Importance scores = {.layers = {3, 1, 2},
                             .kv_heads = {{1, 2}, {2, 1}, {1, 2}},
                             .ffn = std::vector<std::vector<double>>(3, std::vector<double>(20, 1)),
                             .width = {0, 9, 1, 8, 2, 7, 3, 6, 4, 5, 0, 0}};
  const auto plan =
      plan_by_importance(config, scores, {.layers = 2, .heads = 2, .ffn = 3, .width = 4});
  EXPECT_THAT(plan.layers, ElementsAre(0, 2));
  EXPECT_THAT(plan.kv_heads, ElementsAre(ElementsAre(1), ElementsAre(1)));
  EXPECT_THAT(plan.ffn[1], ElementsAre(0, 1, 2));
  EXPECT_THAT(plan.width, ElementsAre(1, 3, 5, 7));
  EXPECT_TRUE(check_counts(config, {.layers = 3, .heads = 2, .ffn = 20, .width = 12}));
  const auto refusal = [&](const KeepCounts& keep) {
    const auto checked = check_counts(config, keep);
    return checked ? std::string("accepted") : checked.error().text();
  };
  EXPECT_THAT(refusal({.layers = 4}), HasSubstr("4 of 3 layers"));
  EXPECT_THAT(refusal({.heads = 3}), HasSubstr("multiple of 2"));
  EXPECT_THAT(refusal({.ffn = -1}), HasSubstr("take 1 to 20"));
  EXPECT_THAT(refusal({.width = 13}), HasSubstr("13 of 12"));
}

}  // namespace
}  // namespace retort::model
