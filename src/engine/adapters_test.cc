#include "engine/adapters_internal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/random.h"
#include "engine/testing_internal.h"
#include "engine/testing_requests_internal.h"

namespace retort::engine {
namespace {

using model::Projection;
using testing::HasSubstr;

class AdaptersTest : public ::testing::Test {
 protected:
  ~AdaptersTest() override { std::filesystem::remove_all(folder_); }

  // One whose B is lively, as after training, and its folder.
  std::pair<model::Adapter, std::string> trained(const model::Config& base, uint64_t seed,
                                                 const model::LoraConfig& lora) {
    auto adapter = model::Adapter::random(base, lora, seed);
    base::Random random(seed);
    for (float& value : adapter.block()) {
      if (value == 0) value = 0.1f * static_cast<float>(random.uniform() - 0.5);
    }
    const std::string folder = folder_ + "/" + std::to_string(seed);
    EXPECT_TRUE(model::save_adapter(adapter, folder, "base").ok());
    return {std::move(adapter), folder};
  }

  std::string folder_ = testing::TempDir() + "/engine_adapters." + std::to_string(getpid());
};

Request asked(int64_t size, uint64_t seed, int64_t adapter) {
  Request request = request_of(random_prompt(size, seed), 20);
  request.sampling.temperature = 0;
  request.prompt_logprobs = 2;
  request.adapter = adapter;
  return request;
}

double largest_difference(const Heard& a, const Heard& b) {
  double largest = 0;
  for (size_t i = 0; i < a.logprobs.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(a.logprobs[i] - b.logprobs[i])));
  }
  for (size_t i = 1; i < a.scores.prompt_chosen.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(a.scores.prompt_chosen[i].logprob -
                                                             b.scores.prompt_chosen[i].logprob)));
  }
  return largest;
}

TEST_F(AdaptersTest, AnswersAreThoseOfMergedWeights) {
  for (const bool few : {false, true}) {
    const auto weights = small_weights({.tied = few, .seed = 3, .qkv_bias = few});
    model::LoraConfig lora{.rank = few ? 3 : 20, .alpha = 24};
    if (few) lora.targets = {Projection::v, Projection::down};
    const auto [adapter, folder] = trained(weights.config(), 5, lora);
    auto merged_weights = small_weights({.tied = few, .seed = 3, .qkv_bias = few});
    model::merge(merged_weights, adapter);
    const auto merged = engine_of(merged_weights);
    const auto engine = engine_of(weights, {.adapters = {folder}});
    for (const int64_t size : {1, 17, 200}) {
      const Heard expected = run_all(*merged, {asked(size, 4, -1)})[0];
      const Heard adapted = run_all(*engine, {asked(size, 4, 0)})[0];
      EXPECT_EQ(adapted.tokens, expected.tokens);
      EXPECT_LT(largest_difference(adapted, expected), 2e-3) << size;
      EXPECT_GT(largest_difference(run_all(*engine, {asked(size, 4, -1)})[0], expected), 0.02);
    }
  }
}

// Whatever shares the batch, and whoever asked the same prompt before under another adapter.
TEST_F(AdaptersTest, ARowsBitsDependOnItAlone) {
  const auto weights = small_weights({.seed = 8});
  const auto first = trained(weights.config(), 1, {.rank = 8}).second;
  const auto second =
      trained(weights.config(), 2, {.rank = 5, .targets = {Projection::q, Projection::up}}).second;
  const std::string file = folder_ + "/model.gguf";
  write_gguf(weights, artifact::TensorType::q8_0, file);
  for (const bool same_prompt : {false, true}) {
    const auto request = [&](int64_t i) {
      Request made = asked(10 + (same_prompt ? 60 : 31 * i), same_prompt ? 7 : 7 + i, i % 3 - 1);
      made.prompt_logprobs = -1;
      return made;
    };
    const auto opened = [&] {
      auto engine = Engine::open(file, {.adapters = {first, second}});
      EXPECT_TRUE(engine.ok()) << engine.error().text();
      return std::move(*engine);
    };
    const auto together_on = opened();
    std::vector<Request> all;
    for (int64_t i = 0; i < 9; ++i) all.push_back(request(i));
    const auto together = run_all(*together_on, all);
    for (int64_t i = 0; i < 9; ++i) {
      const auto alone = run_all(*opened(), {request(i)})[0];
      EXPECT_TRUE(same_bits(alone, together[static_cast<size_t>(i)])) << i;
      EXPECT_TRUE(same_bits(alone, run_all(*together_on, {request(i)})[0])) << i;
    }
    EXPECT_NE(together[0].logprobs, together[1].logprobs);
  }
}

TEST_F(AdaptersTest, WhatDoesNotFitIsRefused) {
  const auto weights = small_weights();
  const auto other = trained(small_weights({.width = 128}).config(), 3, {.rank = 4}).second;
  const auto refused = Engine::from_weights(weights, small_tokenizer(), {.adapters = {other}});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().text(), HasSubstr(other));
  EXPECT_FALSE(
      Engine::from_weights(weights, small_tokenizer(), {.adapters = {folder_ + "/none"}}).ok());
  const auto engine = engine_of(weights);
  EXPECT_FALSE(engine->submit(asked(4, 1, 0)).ok());
  EXPECT_FALSE(engine->submit(asked(4, 1, -2)).ok());
}

}  // namespace
}  // namespace retort::engine
