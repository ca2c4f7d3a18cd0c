#include <gtest/gtest.h>

#include <cmath>

#include "artifact/tensor_type.h"
#include "base/random.h"
#include "model/gguf_names.h"
#include "release/gate_internal.h"
#include "release/gguf_export_internal.h"
#include "release/testing_internal.h"

namespace retort::release {
namespace {

constexpr int64_t kVocab = 5;

// A "model" whose logits are a function of the last token alone: it counts upwards.
std::vector<float> counting(const std::vector<TokenId>& tokens, float off = 0) {
  std::vector<float> out;
  for (const TokenId token : tokens) {
    for (int64_t v = 0; v < kVocab; ++v) {
      out.push_back(v == (token + 1) % kVocab ? 2.0f : v == token ? 1.99f + off : 0.0f);
    }
  }
  return out;
}

Probes counting_probes() {
  Probes probes;
  probes.prompts = {{0, 1, 2}, {3}};
  probes.greedy_tokens = 6;
  return probes;
}

Expected counted(const Probes& probes) {
  auto expected = answers_of([](const auto& tokens) { return counting(tokens); }, probes, kVocab);
  EXPECT_TRUE(expected.ok());
  return *expected;
}

TEST(GateTest, GreedyAnswersFollowTheLogits) {
  const Probes probes = counting_probes();
  EXPECT_EQ(counted(probes).greedy,
            (std::vector<std::vector<TokenId>>{{3, 4, 0, 1, 2, 3}, {4, 0, 1, 2, 3, 4}}));
}

TEST(GateTest, LogitsBeyondTheBoundAreRefusedAndPlaced) {
  const Probes probes = counting_probes();
  const Expected expected = counted(probes);
  const auto run = [&](const LogitsOf& found, double bound) {
    auto check = check_logits(probes, expected, found, bound);
    EXPECT_TRUE(check.ok());
    return *check;
  };
  EXPECT_TRUE(run([](const auto& t) { return counting(t); }, 0).passed);
  const auto moved = [](const auto& t) { return counting(t, 0.05f); };
  EXPECT_TRUE(run(moved, 0.1).passed);
  const GateCheck refused = run(moved, 0.01);
  EXPECT_FALSE(refused.passed);
  EXPECT_GT(refused.measured, 0.01);
  EXPECT_NE(refused.detail.find("prompt 0"), std::string::npos);
  EXPECT_FALSE(run(
                   [](const auto& t) {
                     auto out = counting(t);
                     out.back() = NAN;
                     return out;
                   },
                   1e9)
                   .passed);
  EXPECT_FALSE(run([](const auto&) { return std::vector<float>{1, 2}; }, 1e9).passed);
}

TEST(GateTest, GreedyTokensMustBeEqualButForTiesWithinTheBound) {
  const Probes probes = counting_probes();
  const Expected expected = counted(probes);
  const auto run = [&](std::vector<TokenId> first, double bound) {
    auto check = check_greedy(
        probes, expected,
        [&](const std::vector<TokenId>& prompt, int64_t) -> Result<std::vector<TokenId>> {
          return prompt.size() == 3 ? first : expected.greedy[1];
        },
        bound);
    EXPECT_TRUE(check.ok());
    return check->passed;
  };
  EXPECT_TRUE(run({3, 4, 0, 1, 2, 3}, 0));
  EXPECT_FALSE(run({3, 4, 4, 0, 1, 2}, 0));    // a near tie, but exactness was asked
  EXPECT_TRUE(run({3, 4, 4, 0, 1, 2}, 0.02));  // 1.99 instead of 2
  EXPECT_FALSE(run({3, 4, 2, 3, 4, 0}, 0.02));
  EXPECT_FALSE(run({3, 4, 0}, 0.02));
  EXPECT_FALSE(run({}, 0.02));
  EXPECT_FALSE(run({3, 4, -1, 0, 0, 0}, 0.02));
}

TEST(GateTest, OneWrongWeightIsFoundAndNamed) {
  const auto weights = small_weights(282, /*tied=*/true, 1);
  const auto exact = [](const model::TensorInfo&) { return Format::f32; };
  EXPECT_TRUE(check_weights(weights, weights, exact).passed);
  auto wrong = weights;
  wrong.tensor("model.layers.1.mlp.up_proj.weight")[77] += 1e-6f;
  const GateCheck check = check_weights(weights, wrong, exact);
  EXPECT_FALSE(check.passed);
  EXPECT_EQ(check.detail, "model.layers.1.mlp.up_proj.weight, element 77");
  wrong.tensor("model.layers.1.mlp.up_proj.weight")[77] = NAN;
  EXPECT_FALSE(check_weights(weights, wrong, [](const auto&) { return Format::q8_0; }).passed);
  EXPECT_FALSE(check_weights(weights, small_weights(283, true, 1), exact).passed);
}

TEST(GateTest, OtherIdsAndOtherChatPromptsAreFound) {
  const auto tokenizer = small_tokenizer();
  const auto chat = tokenizer::ChatFormat::detect(*tokenizer);
  ASSERT_TRUE(chat.ok());
  const Probes probes = *make_probes(*tokenizer, *chat, {"A story"}, 256);
  EXPECT_EQ(probes.prompts.size(), 3u);
  EXPECT_EQ(probes.greedy_tokens, kGreedyTokens);
  EXPECT_TRUE(check_ids(probes, *tokenizer, *tokenizer).passed);
  EXPECT_TRUE(check_chat(probes, *tokenizer, *chat, *tokenizer, *chat).passed);
  auto vocabulary = tokenizer->vocabulary();
  std::swap(vocabulary.merges[1], vocabulary.merges[7]);  // "he" and "er"
  auto other = tokenizer::Tokenizer::create(vocabulary);
  ASSERT_TRUE(other.ok());
  EXPECT_FALSE(check_ids(probes, *tokenizer, **other).passed);
  vocabulary = tokenizer->vocabulary();
  vocabulary.eos = vocabulary.pad;
  other = tokenizer::Tokenizer::create(vocabulary);
  ASSERT_TRUE(other.ok());
  EXPECT_FALSE(check_ids(probes, *tokenizer, **other).passed);
  const auto system_first = tokenizer::ChatFormat::detect(*tokenizer, "smollm2");
  ASSERT_TRUE(system_first.ok());
  EXPECT_FALSE(check_chat(probes, *tokenizer, *chat, *tokenizer, *system_first).passed);
}

// What the artifact room writes stays within the stated bound, and the bound is not idle: half of
// it would not do.
TEST(FormatsTest, RoundingStaysWithinItsBoundAndUsesIt) {
  base::Random random(7);
  const struct {
    Format format;
    artifact::TensorType type;
  } cases[] = {{Format::bf16, artifact::TensorType::bf16},
               {Format::f16, artifact::TensorType::f16},
               {Format::q8_0, artifact::TensorType::q8_0}};
  for (const auto& c : cases) {
    std::vector<float> values(32 * 200), back(values.size());
    for (auto& v : values) v = static_cast<float>(random.normal() * std::exp(random.normal()));
    std::vector<uint8_t> bytes(
        static_cast<size_t>(*artifact::type_bytes(c.type, static_cast<int64_t>(values.size()))));
    ASSERT_TRUE(artifact::quantise(c.type, values, bytes).ok());
    ASSERT_TRUE(artifact::dequantise(c.type, bytes, back).ok());
    double used = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      float largest = 0;
      for (size_t j = i / 32 * 32; j < i / 32 * 32 + 32; ++j) {
        largest = std::max(largest, std::abs(values[j]));
      }
      const double bound = rounding_bound(c.format, values[i], largest);
      used = std::max(
          used, std::abs(static_cast<double>(values[i]) - static_cast<double>(back[i])) / bound);
    }
    EXPECT_LE(used, 1) << name(c.format);
    EXPECT_GT(used, 0.45) << name(c.format);
  }
}

TEST(FormatsTest, NamesAreReadBackAndOthersRefused) {
  for (const Format format : {Format::f32, Format::bf16, Format::f16, Format::q8_0}) {
    EXPECT_EQ(*parse_format(name(format)), format);
  }
  EXPECT_EQ(parse_format("fp8").error().code, ErrorCode::usage);
}

// The order that llama.cpp's converter gives: of a head of 4 rows, 0 2 1 3.
TEST(GgufTest, RowsOfQAndKAreTurnedForLlamaCpp) {
  std::vector<float> rows;
  for (int i = 0; i < 16; ++i) rows.push_back(static_cast<float>(i));
  EXPECT_EQ(rows_for_llama_cpp(rows, 2, 4, 2),
            (std::vector<float>{0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15}));
}

TEST(GgufTest, EveryTensorHasItsLlamaCppName) {
  EXPECT_EQ(model::gguf_name("model.layers.12.self_attn.o_proj.weight"),
            "blk.12.attn_output.weight");
  EXPECT_EQ(model::gguf_name("model.layers.0.post_attention_layernorm.weight"),
            "blk.0.ffn_norm.weight");
  EXPECT_EQ(model::gguf_name("lm_head.weight"), "output.weight");
}

}  // namespace
}  // namespace retort::release
