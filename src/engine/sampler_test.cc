#include "engine/sampler_internal.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/random.h"

namespace retort::engine {
namespace {

using tokenizer::TokenId;

std::vector<float> some_logits(size_t vocab, uint64_t seed, double spread = 2) {
  base::Random random(seed);
  std::vector<float> logits(vocab);
  for (float& l : logits) l = static_cast<float>(random.normal() * spread);
  return logits;
}

std::map<TokenId, double> frequencies(const std::vector<float>& logits, Sampling options,
                                      int draws) {
  std::map<TokenId, double> counts;
  for (int i = 0; i < draws; ++i) {
    options.seed = static_cast<uint64_t>(i);
    auto copy = logits;
    counts[Sampler(options).choose(copy)] += 1.0 / draws;
  }
  return counts;
}

// What the filters leave, by the definition: sort, cut, normalise.
std::map<TokenId, double> expected(const std::vector<float>& logits, const Sampling& options) {
  std::vector<std::pair<double, TokenId>> all;
  double total = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    all.emplace_back(std::exp(logits[i] / options.temperature), static_cast<TokenId>(i));
  }
  std::sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.first > b.first; });
  if (options.top_k > 0) all.resize(static_cast<size_t>(options.top_k));
  for (const auto& [weight, id] : all) total += weight;
  std::map<TokenId, double> kept;
  double mass = 0;
  for (const auto& [weight, id] : all) {
    if (!kept.empty() && (mass >= options.top_p * total || weight < options.min_p * all[0].first))
      break;
    kept[id] = weight;
    mass += weight;
  }
  for (auto& [id, weight] : kept) weight /= mass;
  return kept;
}

TEST(SamplerTest, DrawsWithTheDistributionThatTheFiltersLeave) {
  constexpr int kDraws = 20000;
  const auto logits = some_logits(700, 3);
  const Sampling cases[] = {
      {.temperature = 0.7, .top_p = 0.9}, {.temperature = 1.0},
      {.temperature = 1.5, .top_k = 5},   {.temperature = 0.9, .top_p = 0.8, .top_k = 20},
      {.temperature = 1.0, .min_p = 0.3}, {.temperature = 40, .top_p = 0.999}};
  for (const Sampling& options : cases) {
    const auto wanted = expected(logits, options);
    auto found = frequencies(logits, options, kDraws);
    for (const auto& [id, share] : found) {
      ASSERT_TRUE(wanted.contains(id)) << id << " was filtered";
    }
    for (const auto& [id, share] : wanted) {
      if (share < 0.01) continue;
      EXPECT_NEAR(found[id], share, 4.5 * std::sqrt(share / kDraws)) << id;
    }
  }
}

TEST(SamplerTest, ZeroTemperatureTakesTheFirstOfTheLikeliest) {
  std::vector<float> logits = some_logits(400, 1);
  logits[77] = logits[300] = 50;
  EXPECT_EQ(Sampler({.temperature = 0}).choose(logits), 77);
  std::vector<float> broken(40, NAN);
  EXPECT_EQ(Sampler({.temperature = 0}).choose(broken), 0);
  EXPECT_GE(Sampler({.top_p = 0.5}).choose(broken), 0);
  EXPECT_GE(Sampler({}).choose(broken), 0);
}

TEST(SamplerTest, PenaltiesActOnWhatWasGenerated) {
  Sampler sampler({.temperature = 0, .repetition_penalty = 2});
  std::vector<float> logits = {4, 3, -1, 1};
  auto copy = logits;
  EXPECT_EQ(sampler.choose(copy), 0);
  copy = logits;
  EXPECT_EQ(sampler.choose(copy), 1);  // 4 / 2 < 3
  EXPECT_EQ(copy[0], 2);
  Sampler counted({.temperature = 0, .presence_penalty = 0.5, .frequency_penalty = 0.25});
  for (int i = 0; i < 3; ++i) {
    copy = {4, 3, 0, 0};
    counted.choose(copy);
  }
  EXPECT_EQ(copy[0], 4 - 0.5f - 2 * 0.25f);
  Sampler biased({.temperature = 0, .logit_bias = {{2, 100.0f}}});
  copy = logits;
  EXPECT_EQ(biased.choose(copy), 2);
}

TEST(SamplerTest, SameSeedSameTokens) {
  const auto logits = some_logits(49152, 5);
  for (const double top_p : {1.0, 0.9}) {
    Sampler a({.top_p = top_p, .seed = 9}), b({.top_p = top_p, .seed = 9});
    for (int i = 0; i < 50; ++i) {
      auto x = logits, y = logits;
      EXPECT_EQ(a.choose(x), b.choose(y));
    }
  }
}

TEST(SamplerTest, LogProbabilities) {
  const auto logits = some_logits(1000, 6);
  double sum = 0;
  for (const float l : logits) sum += std::exp(static_cast<double>(l));
  const auto top = most_likely(logits, 700);
  ASSERT_EQ(top.size(), 700u);
  for (size_t i = 0; i < top.size(); ++i) {
    EXPECT_NEAR(top[i].logprob, logits[static_cast<size_t>(top[i].id)] - std::log(sum), 1e-5);
    EXPECT_LE(top[i].logprob, top[i > 0 ? i - 1 : 0].logprob);
  }
  EXPECT_EQ(most_likely(logits, 5000).size(), 1000u);
  EXPECT_TRUE(most_likely(logits, 0).empty());
  EXPECT_NEAR(scored(logits, 3).logprob, logits[3] - std::log(sum), 1e-5);
  // A token's rank is its place among the likeliest, also where two are equal.
  auto twins = logits;
  twins[900] = twins[30];
  for (const TokenProbability& token : most_likely(twins, 1000)) {
    EXPECT_EQ(scored(twins, token.id).rank, token.rank) << token.id;
  }
  EXPECT_EQ(scored(twins, 900).rank, scored(twins, 30).rank + 1);
}

}  // namespace
}  // namespace retort::engine
