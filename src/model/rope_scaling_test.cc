#include "model/rope_scaling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace retort::model {
namespace {

using testing::HasSubstr;

Result<std::vector<float>> divisors_of(const std::string& scaling, int64_t head_dim = 8) {
  const auto v = json::parse("{\"rope_theta\": 10000.0, " + scaling + "}");
  EXPECT_TRUE(v.ok()) << v.error().text();
  return rope_divisors_from_hf(*v, head_dim, *rope_theta_from_hf(*v));
}

// The wavelengths of theta 10000 and 8 elements are 6.28, 62.8, 628 and 6283 positions.
TEST(RopeScaling, Llama3DividesLongWavesAndKeepsShortOnes) {
  const auto divisors = llama3_divisors(
      {.factor = 8, .low_freq_factor = 1, .high_freq_factor = 4, .original_positions = 1024}, 8,
      10000);
  ASSERT_EQ(divisors.size(), 4u);
  EXPECT_EQ(divisors[0], 1);
  EXPECT_EQ(divisors[1], 1);
  const double kept = (1024 / 628.3185307 - 1) / 3;
  EXPECT_NEAR(divisors[2], 1 / ((1 - kept) / 8 + kept), 1e-5);
  EXPECT_EQ(divisors[3], 8);
}

TEST(RopeScaling, ParametersAreFoundAgainThroughRounding) {
  auto divisors = llama3_divisors({.factor = 32, .original_positions = 8192}, 64, 500000);
  for (size_t i = 0; i < divisors.size(); ++i) {
    if (divisors[i] > 1 && divisors[i] < 32) divisors[i] *= i % 2 == 0 ? 1 + 3e-7f : 1;
  }
  const auto found = llama3_scaling(divisors, 500000);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->factor, 32);
  EXPECT_EQ(found->original_positions, 8192);
  EXPECT_EQ(canonical_divisors(divisors, 500000), llama3_divisors(*found, 64, 500000));
  divisors[20] *= 1.01f;
  EXPECT_FALSE(llama3_scaling(divisors, 500000));
  EXPECT_EQ(canonical_divisors(divisors, 500000), divisors);
}

TEST(RopeScaling, OnesAreNoScaling) {
  EXPECT_TRUE(canonical_divisors({1, 1, 1}, 10000).empty());
  EXPECT_EQ(canonical_divisors({2, 2, 2}, 10000), (std::vector<float>{2, 2, 2}));
  EXPECT_EQ(linear_factor({}), 1.0f);
  EXPECT_FALSE(linear_factor(std::vector<float>{1, 2}));
}

TEST(RopeScaling, BothSpellingsOfTransformersAreRead) {
  const std::vector<float> fours(4, 4.0f);
  EXPECT_EQ(*divisors_of(R"("rope_scaling": {"type": "linear", "factor": 4})"), fours);
  EXPECT_EQ(*divisors_of(R"("rope_scaling": {"rope_type": "linear", "factor": 4.0})"), fours);
  EXPECT_EQ(*divisors_of(R"("rope_parameters": {"rope_type": "linear", "factor": 4.0,
                            "rope_theta": 500.0})"),
            fours);
  EXPECT_TRUE(divisors_of(R"("rope_scaling": null)")->empty());
  EXPECT_TRUE(divisors_of(R"("rope_parameters": {"rope_type": "default"})")->empty());
  const std::string llama3 = R"({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
      "high_freq_factor": 4.0, "original_max_position_embeddings": 1024, "rope_theta": 500.0})";
  const auto table = llama3_divisors({.original_positions = 1024}, 8, 500);
  EXPECT_EQ(*divisors_of("\"rope_scaling\": " + llama3), table);
  EXPECT_EQ(*divisors_of("\"rope_parameters\": " + llama3), table);
}

TEST(RopeScaling, WhatIsWrittenReadsBackEqual) {
  const auto llama3 = llama3_divisors({.original_positions = 256}, 8, 500);
  for (const std::vector<float>& divisors :
       {std::vector<float>{}, {3, 3, 3, 3}, llama3, {1, 1.5f, 0.3f, 7}}) {
    const auto v = json::Value::object({{"rope_scaling", rope_scaling_to_hf(divisors, 500, 64)}});
    const auto back = rope_divisors_from_hf(v, 8, 500);
    ASSERT_TRUE(back.ok()) << back.error().text();
    EXPECT_EQ(*back, divisors);
  }
  EXPECT_THAT(json::dump(rope_scaling_to_hf(llama3, 500, 64)), HasSubstr("llama3"));
}

TEST(RopeScaling, WhatIsNoFixedTableIsRefusedByName) {
  const auto refusal = [](const std::string& scaling) {
    const auto read = divisors_of(scaling);
    return read ? std::string("accepted") : read.error().text();
  };
  EXPECT_THAT(refusal(R"("rope_scaling": {"type": "yarn", "factor": 4})"), HasSubstr("yarn"));
  EXPECT_THAT(refusal(R"("rope_scaling": {"type": "dynamic", "factor": 4})"), HasSubstr("dynamic"));
  EXPECT_THAT(refusal(R"("rope_scaling": {"type": "linear"})"), HasSubstr("factor"));
  EXPECT_THAT(refusal(R"("rope_scaling": {"type": "linear", "factor": 1e300})"),
              HasSubstr("factor"));
  EXPECT_THAT(refusal(R"("rope_scaling": {"type": "linear", "factor": -1})"), HasSubstr("-1"));
  EXPECT_THAT(refusal(R"("rope_scaling": {"rope_type": "llama3", "factor": 8})"),
              HasSubstr("low_freq_factor"));
  EXPECT_THAT(refusal(R"("rope_scaling": {"rope_type": "llama3", "factor": 8,
      "low_freq_factor": 4, "high_freq_factor": 4, "original_max_position_embeddings": 64})"),
              HasSubstr("ramp"));
  EXPECT_THAT(refusal(R"("rope_scaling": {"type": "longrope", "short_factor": [1, 1, 1, 1],
      "long_factor": [2, 2, 2, 2], "attention_factor": 1})"),
              HasSubstr("longrope"));
  EXPECT_THAT(refusal(R"("rope_scaling": {"type": "longrope", "short_factor": "no"})"),
              HasSubstr("short_factor"));
  EXPECT_THAT(refusal(R"("partial_rotary_factor": 0.5)"), HasSubstr("partial_rotary_factor"));
  EXPECT_THAT(refusal(R"("rope_parameters": {"partial_rotary_factor": 0.5})"),
              HasSubstr("in part"));
}

}  // namespace
}  // namespace retort::model
