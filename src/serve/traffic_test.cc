#include "serve/traffic_internal.h"

#include <gtest/gtest.h>

namespace retort::serve {
namespace {

int64_t last_of(const json::Value& printed, const char* key, int64_t back = 0) {
  const auto& all = printed.find(key)->as_array();
  return all[all.size() - 1 - static_cast<size_t>(back)].as_int();
}
int64_t sum_of(const json::Value& printed, const char* key) {
  int64_t sum = 0;
  for (const auto& one : printed.find(key)->as_array()) sum += one.as_int();
  return sum;
}

TEST(TrafficTest, CountsInStepsAndForgetsWhatIsOld) {
  base::ManualClock clock;
  Traffic traffic(clock);
  traffic.add_reply(200);
  traffic.add_answer(0.2, 10, 30);
  clock.sleep_ms(5000);
  traffic.add_reply(429);
  traffic.add_refusal("rate_limit_exceeded");
  traffic.add_reply(503);
  auto printed = traffic.print();
  EXPECT_EQ(last_of(printed, "requests"), 2);
  EXPECT_EQ(last_of(printed, "refused"), 1);
  EXPECT_EQ(last_of(printed, "failed"), 1);
  EXPECT_EQ(last_of(printed, "requests", 1), 1);
  EXPECT_EQ(last_of(printed, "output_tokens", 1), 30);
  EXPECT_EQ(*printed.find("refusals")->as_array()[0].string_at("code"), "rate_limit_exceeded");
  clock.sleep_ms(15 * 60 * 1000);
  printed = traffic.print();
  EXPECT_EQ(sum_of(printed, "requests"), 0);
  EXPECT_TRUE(printed.find("refusals")->as_array().empty());
  traffic.add_reply(200);
  EXPECT_EQ(last_of(traffic.print(), "requests"), 1) << "a place used again is another step's";
}

TEST(TrafficTest, TheLastMinuteIsOfWholeSteps) {
  base::ManualClock clock;
  Traffic traffic(clock);
  for (int i = 0; i < 12; ++i) {
    for (int n = 0; n < 10; ++n) traffic.add_reply(200);
    traffic.add_first_token(i == 0 ? 4.0 : 0.1);
    clock.sleep_ms(5000);
  }
  traffic.add_reply(200);  // of the step under way
  const auto printed = traffic.print();
  const auto* minute = printed.find("last_minute");
  EXPECT_DOUBLE_EQ(*minute->number_at("requests_per_second"), 2.0);
  EXPECT_NEAR(*minute->number_at("first_token_ms_p50"), 100, 15);
  EXPECT_NEAR(*minute->number_at("first_token_ms_p95"), 4000, 600);
  EXPECT_TRUE(minute->find("answer_ms_p50")->is_null()) << "of no answer there is no latency";
}

TEST(TrafficTest, OfAnAnswerTokensAndTimesAreCounted) {
  base::ManualClock clock;
  Traffic traffic(clock);
  traffic.add_first_token(4.0);
  traffic.add_answer(0.2, 12, 30);
  clock.sleep_ms(5000);
  const auto printed = traffic.print();
  EXPECT_EQ(last_of(printed, "answers", 1), 1);
  EXPECT_EQ(last_of(printed, "input_tokens", 1), 12);
  EXPECT_EQ(last_of(printed, "output_tokens", 1), 30);
  const auto p95 = [&](const char* key) {
    const auto& all = printed.find(key)->as_array();
    return all[all.size() - 2].as_number();
  };
  EXPECT_NEAR(p95("first_token_ms_p95"), 4000, 600);
  EXPECT_NEAR(p95("answer_ms_p95"), 200, 30);
  const auto* minute = printed.find("last_minute");
  EXPECT_DOUBLE_EQ(*minute->number_at("input_tokens_per_second"), 0.2);
  EXPECT_DOUBLE_EQ(*minute->number_at("output_tokens_per_second"), 0.5);
  EXPECT_NEAR(*minute->number_at("answer_ms_p50"), 200, 30);
  clock.sleep_ms(15 * 60 * 1000);
  EXPECT_DOUBLE_EQ(*traffic.print().find("last_minute")->number_at("output_tokens_per_second"), 0)
      << "what stands in a place of the minute's is a quarter of an hour old";
}

TEST(TrafficTest, AnUnboundedNumberOfCodesIsNotKept) {
  base::ManualClock clock;
  Traffic traffic(clock);
  for (int again = 0; again < 2; ++again) {
    for (int i = 0; i < 70; ++i) traffic.add_refusal("code_" + std::to_string(i));
  }
  int64_t other = 0, all = 0;
  const auto printed = traffic.print();
  for (const auto& one : printed.find("refusals")->as_array()) {
    all += *one.int_at("count");
    if (*one.string_at("code") == "other") other = *one.int_at("count");
  }
  EXPECT_EQ(all, 140);
  EXPECT_EQ(other, 12);
}

TEST(TrafficTest, WhatTookLongerThanAnybodyMeasuresIsTheLongest) {
  base::ManualClock clock;
  Traffic traffic(clock);
  traffic.add_first_token(1e9);
  EXPECT_GT(traffic.print().find("first_token_ms_p95")->as_array().back().as_number(), 3e5);
}

}  // namespace
}  // namespace retort::serve
