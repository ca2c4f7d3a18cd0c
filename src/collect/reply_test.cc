#include "collect/reply.h"

#include <gtest/gtest.h>

#include <map>

namespace retort::collect {
namespace {

constexpr int64_t kNow_ms = 1'792'567'680'000;  // 2026-10-21 07:28:00 UTC

TEST(RateHeaders, EachSpellingOfAWait) {
  using Headers = std::map<std::string, std::string>;
  const auto wait = [](const Headers& headers) {
    const auto got = retry_after_ms(
        [&](std::string_view name) {
          const auto found = headers.find(std::string(name));
          return found == headers.end() ? std::string() : found->second;
        },
        kNow_ms);
    return got ? *got : -1;
  };
  EXPECT_EQ(wait({}), -1);
  EXPECT_EQ(wait({{"retry-after", "2"}}), 2000);
  EXPECT_EQ(wait({{"retry-after", " 0.25 "}}), 250);
  EXPECT_EQ(wait({{"retry-after-ms", "17.5"}, {"retry-after", "2"}}), 18);
  EXPECT_EQ(wait({{"retry-after", "Wed, 21 Oct 2026 07:28:05 GMT"}}), 5000);
  EXPECT_EQ(wait({{"retry-after", "Wed, 21 Oct 2026 07:00:00 GMT"}}), 0);
  // The server's clock is a day off: its own Date decides.
  EXPECT_EQ(wait({{"retry-after", "Thu, 22 Oct 2026 07:28:05 GMT"},
                  {"date", "Thu, 22 Oct 2026 07:28:02 GMT"}}),
            3000);
  for (const char* absurd : {"-5", "nan", "inf", "-inf", "1e9", "soon", "", "5 s", "0x10"}) {
    EXPECT_EQ(wait({{"retry-after", absurd}}), -1) << absurd;
  }
  for (const char* huge :
       {"315360000", "99999999999999999999999999", "Fri, 21 Oct 2036 07:28:00 GMT"}) {
    EXPECT_EQ(wait({{"retry-after", huge}}), kLongestWait_ms) << huge;
  }
  EXPECT_EQ(wait({{"x-ratelimit-remaining-tokens", "0"},
                  {"x-ratelimit-reset-tokens", "6m0s"},
                  {"x-ratelimit-remaining-requests", "7"},
                  {"x-ratelimit-reset-requests", "12ms"}}),
            360'000);
  EXPECT_EQ(wait({{"x-ratelimit-reset-tokens", "6m0s"}, {"x-ratelimit-reset-requests", "12ms"}}),
            12);
}

TEST(RateHeaders, Durations) {
  EXPECT_EQ(parse_duration_ms("6m0s"), 360'000);
  EXPECT_EQ(parse_duration_ms("1h2m3.5s"), kLongestWait_ms);
  EXPECT_EQ(parse_duration_ms("1m30.5s"), 90'500);
  EXPECT_EQ(parse_duration_ms("12ms"), 12);
  EXPECT_EQ(parse_duration_ms("3"), 3000);
  for (const char* wrong : {"", "m", "-1s", "5x", "1s2", "nan"}) {
    EXPECT_FALSE(parse_duration_ms(wrong)) << wrong;
  }
}

Exchange http(int status, std::string body) {
  Exchange exchange;
  exchange.end = Exchange::End::answered;
  exchange.status = status;
  exchange.body = std::move(body);
  return exchange;
}

const char* const kGoodBody =
    R"({"id": "c-1", "model": "m", "choices": [{"message": {"role": "assistant", "content": "Hi."},
    "finish_reason": "stop"}], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})";

TEST(Judge, AGoodAnswer) {
  Exchange exchange = http(200, kGoodBody);
  exchange.headers = {{"Content-Usage", "train-ai=n"}, {"LINK", "</terms>; rel=\"license\""}};
  const Reply reply = judge(exchange, kNow_ms);
  ASSERT_EQ(reply.kind, ReplyKind::answer) << reply.why;
  EXPECT_EQ(reply.answer.text, "Hi.");
  EXPECT_EQ(reply.answer.finish_reason, "stop");
  EXPECT_TRUE(reply.answer.usage_known);
  EXPECT_EQ(reply.answer.prompt_tokens, 7);
  EXPECT_EQ(reply.answer.answer_tokens, 3);
  EXPECT_EQ(reply.answer.content_usage, "train-ai=n");
  EXPECT_EQ(reply.answer.licence_link, "</terms>; rel=\"license\"");
}

TEST(Judge, WhatIsNotAnAnswerIsNeverStoredAsOne) {
  const std::string good = kGoodBody;
  for (const std::string& body :
       {std::string("{}"), std::string("[]"), std::string("<html>"),
        good.substr(0, good.size() / 2), std::string(R"({"choices": []})"),
        std::string(R"({"choices": [3]})"),
        std::string(R"({"choices": [{"message": {"content": "x"}}]})"),
        std::string(R"({"error": {"message": "boom"}})"), std::string(100'000, '[')}) {
    const Reply reply = judge(http(200, body), kNow_ms);
    EXPECT_EQ(reply.kind, ReplyKind::broken) << body.substr(0, 60);
    EXPECT_TRUE(reply.maybe_billed);
  }
  Exchange cut;
  cut.end = Exchange::End::uncertain;
  cut.body = good;
  EXPECT_EQ(judge(cut, kNow_ms).kind, ReplyKind::broken);
  EXPECT_TRUE(judge(cut, kNow_ms).maybe_billed);
}

TEST(Judge, EachStatusToItsConsequence) {
  const std::map<int, ReplyKind> expected = {
      {301, ReplyKind::stop},     {307, ReplyKind::stop},     {400, ReplyKind::rejected},
      {401, ReplyKind::stop},     {402, ReplyKind::stop},     {403, ReplyKind::stop},
      {404, ReplyKind::stop},     {408, ReplyKind::broken},   {409, ReplyKind::broken},
      {413, ReplyKind::rejected}, {422, ReplyKind::rejected}, {429, ReplyKind::throttled},
      {500, ReplyKind::broken},   {502, ReplyKind::broken},   {503, ReplyKind::throttled},
      {504, ReplyKind::broken},   {529, ReplyKind::throttled}};
  for (const auto& [status, kind] : expected) {
    const Reply reply = judge(http(status, R"({"error": {"message": "why"}})"), kNow_ms);
    EXPECT_EQ(reply.kind, kind) << status;
    EXPECT_FALSE(reply.maybe_billed) << status;
    if (status >= 400) {
      EXPECT_NE(reply.why.find("\"why\""), std::string::npos) << reply.why;
    }
  }
}

TEST(Judge, AnEmptyPurseIsNotABusyServer) {
  const std::string body =
      R"({"error": {"code": "insufficient_quota", "message": "pay\u001b[2J"}})";
  const Reply reply = judge(http(429, body), kNow_ms);
  EXPECT_EQ(reply.kind, ReplyKind::stop);
  EXPECT_EQ(reply.why.find('\x1b'), std::string::npos) << "control characters reach a terminal";
  EXPECT_EQ(judge(http(200, body), kNow_ms).kind, ReplyKind::stop);
  EXPECT_EQ(judge(http(200, R"({"error": {"type": "rate_limit_exceeded"}})"), kNow_ms).kind,
            ReplyKind::throttled);
}

TEST(Judge, AProvidersStepsAreUnderstood) {
  const std::string suspended =
      R"J({"error": {"message": "This account is suspended", "type": "account_suspended",
          "code": "account_suspended", "case_id": "case_1", "clause": "2.2(e)",
          "appeal_url": "/v1/policy/cases/case_1/appeal"}})J";
  const Reply stopped = judge(http(403, suspended), kNow_ms);
  EXPECT_EQ(stopped.kind, ReplyKind::stop);
  EXPECT_NE(
      stopped.why.find("case case_1, clause 2.2(e), appeal at /v1/policy/cases/case_1/appeal"),
      std::string::npos)
      << stopped.why;
  const Reply throttled = judge(
      http(429, R"({"error": {"code": "policy_throttled", "message": "slow", "case_id": "c"}})"),
      kNow_ms);
  EXPECT_EQ(throttled.kind, ReplyKind::stop) << "a limit by policy is no busy server";
  Exchange warned =
      http(200, R"({"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]})");
  EXPECT_EQ(judge(warned, kNow_ms).policy_case, "");
  warned.headers = {{"Retort-Policy-Case", "case_1\x1b[2J\xc2\x9b"},
                    {"retort-policy-step", "warn"}};
  const Reply reply = judge(warned, kNow_ms);
  EXPECT_EQ(reply.kind, ReplyKind::answer);
  EXPECT_EQ(reply.policy_case.find('\x1b'), std::string::npos);
  EXPECT_EQ(reply.policy_case.find('\x9b'), std::string::npos) << "C1 controls, too";
  EXPECT_NE(reply.policy_case.find("step warn"), std::string::npos) << reply.policy_case;
}

TEST(Judge, UsageThatMakesNoSenseIsNotKnown) {
  for (const char* usage : {"null", "{}", R"({"prompt_tokens": -1, "completion_tokens": 2})",
                            R"({"prompt_tokens": 1.5, "completion_tokens": 2})"}) {
    const std::string body =
        std::string(
            R"({"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": )") +
        usage + "}";
    const Reply reply = judge(http(200, body), kNow_ms);
    ASSERT_EQ(reply.kind, ReplyKind::answer) << usage;
    EXPECT_FALSE(reply.answer.usage_known) << usage;
  }
}

}  // namespace
}  // namespace retort::collect
