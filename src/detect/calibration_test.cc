#include "detect/calibration.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/random.h"

namespace retort::detect {
namespace {

using Path = std::vector<float>;  // the score after each judgement of one period
using Draw = std::function<Path(base::Random&)>;

// An account's scores lie around what the account is like: windows of one are far from independent.
Path steady(base::Random& random) {
  const double own = 2 * random.normal();
  Path path;
  for (int i = 0; i < 15; ++i) path.push_back(static_cast<float>(own + random.normal()));
  return path;
}

// A few accounts are far out, and scores drift: no account is like the middle of them.
Path wild(base::Random& random) {
  double at = std::tan(1.5 * (random.uniform() - 0.5) * 2);
  Path path;
  const uint64_t length = 1 + random.below(30);
  for (uint64_t i = 0; i < length; ++i) path.push_back(static_cast<float>(at += random.normal()));
  return path;
}

// Most accounts are alike to the last bit.
Path tied(base::Random& random) {
  return Path(5, random.below(20) == 0 ? 3.0f : 1.0f);
}

Wealth most_of(const Path& path) {
  Wealth out;
  for (const float one : path) {
    Wealth now;
    now.total = one;
    now.families.fill(one);
    now.rest = one - 1;
    out.raise(now);
  }
  return out;
}

struct Rates {
  double ever = 0, ever_sure = 0;  // accounts whose evidence ever reached 1/alpha
  double mean_e = 0;               // of the first period's e-value at its end
  double small_p = 0;              // accounts with a p-value of at most 0.05
};

// Each trial: fresh honest accounts calibrate, one more like them lives for some periods.
Rates simulate(const Draw& draw, double bet, double alpha, int trials) {
  constexpr int kLives = 100, kPeriods = 3;
  Rates out;
  for (int trial = 0; trial < trials; ++trial) {
    base::Random random(static_cast<uint64_t>(trial), 9);
    CalibrationBuilder builder(bet);
    for (int i = 0; i < kLives; ++i) builder.add("chat", most_of(draw(random)));
    const Calibration calibration = builder.finish();
    const ClassCalibration& honest = *calibration.find("chat");
    double past = 0, past_sure = 0, sure = 0;
    bool crossed = false, crossed_sure = false;
    for (uint32_t period = 0; period < kPeriods; ++period) {
      Wealth wealth;
      double e = 0;
      for (const float one : draw(random)) {
        Wealth now;
        now.total = one;
        wealth.raise(now);
        e = e_value(honest, wealth.total);
        crossed = crossed || past + period_weight(period) * e >= 1 / alpha;
        sure = all_or_nothing(honest, wealth.total, alpha, period);
        crossed_sure = crossed_sure || past_sure + sure >= 1 / alpha;
      }
      if (period == 0) {
        out.mean_e += e;
        out.small_p += p_value(honest.total, honest.periods, wealth.total) <= 0.05 ? 1 : 0;
      }
      past += period_weight(period) * e;
      past_sure += sure;
    }
    out.ever += crossed ? 1 : 0;
    out.ever_sure += crossed_sure ? 1 : 0;
  }
  out.ever /= trials;
  out.ever_sure /= trials;
  out.mean_e /= trials;
  out.small_p /= trials;
  return out;
}

class ErrorBound : public ::testing::TestWithParam<std::pair<const char*, Draw>> {};

TEST_P(ErrorBound, HonestAccountsEverReachOneOverAlphaAtMostAlpha) {
  constexpr int kTrials = 2000;
  constexpr double kAlpha = 0.05;
  for (const double bet : {0.3, 5.0}) {
    const Rates rates = simulate(GetParam().second, bet, kAlpha, kTrials);
    // Three standard errors of a rate of exactly alpha.
    const double slack = 3 * std::sqrt(kAlpha * (1 - kAlpha) / kTrials);
    EXPECT_LE(rates.ever, kAlpha + slack) << bet;
    EXPECT_LE(rates.ever_sure, kAlpha + slack) << bet;
    EXPECT_LE(rates.mean_e, 1.25) << bet;
    EXPECT_LE(rates.small_p, 0.05 + slack) << bet;
  }
}

INSTANTIATE_TEST_SUITE_P(Traffic, ErrorBound,
                         ::testing::Values(std::pair{"steady", Draw(steady)},
                                           std::pair{"wild", Draw(wild)},
                                           std::pair{"tied", Draw(tied)}),
                         [](const auto& which) { return std::string(which.param.first); });

TEST(Calibration, WhatIsFarBeyondAllHonestAccountsIsSeen) {
  base::Random random(4);
  CalibrationBuilder builder(1.0);
  for (int i = 0; i < 3000; ++i) builder.add("chat", most_of(steady(random)));
  const Calibration calibration = builder.finish();
  const ClassCalibration& honest = *calibration.find("chat");
  EXPECT_GT(e_value(honest, 40) * period_weight(0), 1000);
  EXPECT_LE(e_value(honest, 1e6), 3001);
  EXPECT_LT(e_value(honest, 0), 1);
  EXPECT_NEAR(p_value(honest.total, honest.periods, 40), 1.0 / 3001, 1e-9);
  EXPECT_NEAR(p_value(honest.total, honest.periods, -40), 1, 1e-9);
  // A purpose without a class of its own is compared with all.
  EXPECT_EQ(calibration.find("weather"), calibration.find(""));
}

TEST(Calibration, AllOrNothingTakesWhatAlphaNeedsAndNoMore) {
  CalibrationBuilder builder;
  for (int i = 0; i < 4000; ++i) {
    Wealth wealth;
    wealth.total = static_cast<float>(i) / 1000;
    builder.add("chat", wealth);
  }
  // The highest is so high that bets by size never reach it.
  Wealth high;
  high.total = 9;
  builder.add("chat", high);
  const Calibration calibration = builder.finish();
  const ClassCalibration& honest = *calibration.find("chat");
  EXPECT_LT(period_weight(0) * e_value(honest, 5), 1000);
  EXPECT_NEAR(all_or_nothing(honest, 5, 0.001, 0), 1000, 1e-6);  // one is higher: 2 of 4,002
  EXPECT_EQ(all_or_nothing(honest, 3.999f, 0.001, 0), 0);
  // Of 4,001 none can be so rare that a second period suffices: what size says.
  EXPECT_DOUBLE_EQ(all_or_nothing(honest, 5, 0.001, 1), period_weight(1) * e_value(honest, 5));
  EXPECT_DOUBLE_EQ(all_or_nothing(honest, 5, 1e-9, 0), period_weight(0) * e_value(honest, 5));
}

TEST(Calibration, ScoresOfFewRequestsCountForLess) {
  EXPECT_FLOAT_EQ(early_handicap(6), 1.2f);
  EXPECT_FLOAT_EQ(early_handicap(1), 1.2f);
  EXPECT_EQ(early_handicap(48), 0);
  EXPECT_EQ(early_handicap(5000), 0);
  for (uint32_t n = 6; n < 48; ++n) EXPECT_GT(early_handicap(n), early_handicap(n + 1)) << n;
  Wealth wealth;
  wealth.raise({.total = 3, .rest = 2});
  wealth.lower(0.5f);
  EXPECT_FLOAT_EQ(wealth.total, 2.5f);
  EXPECT_FLOAT_EQ(wealth.rest, 1.5f);
}

TEST(Calibration, PeriodsWeighOneTogether) {
  double sum = 0;
  for (uint32_t period = 0; period < 100'000; ++period) sum += period_weight(period);
  EXPECT_LT(sum, 1);
  EXPECT_GT(sum, 0.9999);
}

TEST(Calibration, GoesThroughJson) {
  base::Random random(6);
  CalibrationBuilder builder(0.5);
  for (int i = 0; i < 300; ++i) builder.add(i % 2 == 0 ? "chat" : "etl", most_of(wild(random)));
  const Calibration calibration = builder.finish();
  const auto text = json::dump(to_json(calibration));
  const auto value = json::parse(text);
  ASSERT_TRUE(value.ok());
  const auto back = calibration_from_json(*value);
  ASSERT_TRUE(back.ok()) << back.error().text();
  EXPECT_EQ(json::dump(to_json(*back)), text);
  EXPECT_EQ(back->classes.size(), 3U);
  EXPECT_EQ(back->find("chat")->periods, 150);
  EXPECT_EQ(back->find("chat")->rest, calibration.find("chat")->rest);
  EXPECT_FLOAT_EQ(back->find("chat")->rest[3], back->find("chat")->total[3] - 1);
  const auto refused = [](const std::string& bad) {
    const auto parsed = json::parse(bad);
    return parsed.ok() && !calibration_from_json(*parsed).ok();
  };
  EXPECT_TRUE(refused("{}"));
  EXPECT_TRUE(refused(R"({"schema":"retort.detect.calibration/4"})"));
  std::string free = text;
  free.replace(free.find("\"bet\":0.5"), 9, "\"bet\":0.0");
  EXPECT_TRUE(refused(free));
  std::string zero = text;
  zero.replace(zero.find("\"periods\":"), 13, "\"periods\":0,\"");
  EXPECT_FALSE(json::parse(zero).ok() && calibration_from_json(*json::parse(zero)).ok());
}

// e_value() of both together is that of one built of all.
TEST(Calibration, TwoPooledAreAsOneOfAll) {
  base::Random random(4);
  CalibrationBuilder first, second, all;
  for (int i = 0; i < 3'000; ++i) {
    Wealth one;
    one.total = static_cast<float>(random.uniform() * 4 - 3);
    one.rest = one.total - 1;
    for (auto& family : one.families) family = one.total - 2;
    (i % 3 == 0 ? first : second).add("chat", one);
    all.add("chat", one);
  }
  Wealth other;
  second.add("weather", other);
  all.add("weather", other);
  const auto both = pooled(first.finish(), second.finish());
  ASSERT_TRUE(both.ok()) << both.error().text();
  const auto whole = all.finish();
  for (const char* purpose : {"", "chat", "weather"}) {
    const auto& got = both->classes.at(purpose);
    const auto& wanted = whole.classes.at(purpose);
    EXPECT_EQ(got.periods, wanted.periods);
    EXPECT_NEAR(got.log_total, wanted.log_total, 1e-6);
    for (const float score : {-3.0f, -1.0f, 0.5f, 0.99f, 2.0f}) {
      EXPECT_NEAR(e_value(got, score), e_value(wanted, score), 1e-6 * e_value(wanted, score));
      EXPECT_GE(p_value(got.total, got.periods, score) * 1.001,
                p_value(wanted.total, wanted.periods, score));
    }
  }
  CalibrationBuilder bolder(7);
  bolder.add("chat", other);
  EXPECT_EQ(pooled(first.finish(), bolder.finish()).error().code, ErrorCode::usage);
}

TEST(Calibration, NoPurposeIsComparedWithClusters) {
  const auto& built_in = built_in_calibration();
  ASSERT_TRUE(built_in.classes.contains("cluster:template"));
  EXPECT_EQ(built_in.find("cluster:template"), built_in.find(""));
}

}  // namespace
}  // namespace retort::detect
