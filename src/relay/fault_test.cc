#include "relay/fault.h"

#include <gtest/gtest.h>

namespace retort::relay {
namespace {

Fault answered(int status, const std::string& body, http::Headers headers = {}) {
  http::Response response;
  response.status = status;
  response.headers = std::move(headers);
  return fault_of(response, body);
}

constexpr const char* kKeyError =
    R"({"error":{"message":"Incorrect API key provided: sk-abc***xyz.","type":)"
    R"("invalid_request_error","param":null,"code":"invalid_api_key"}})";

TEST(Fault, WhatAClientCanMendIsPassedOn) {
  const auto wrong = answered(
      400, R"({"error":{"message":"too long","type":"invalid_request_error","param":"messages",)"
           R"("code":"context_length_exceeded"}})");
  EXPECT_EQ(wrong.error.status, 400);
  EXPECT_EQ(wrong.error.message, "too long");
  EXPECT_EQ(wrong.error.code, "context_length_exceeded");
  EXPECT_FALSE(wrong.own);
  const auto busy =
      answered(429, R"({"error":{"message":"slow down","code":"rate_limit"}})",
               {{"retry-after", "7"}, {"x-ratelimit-limit-requests", "3"}, {"Set-Cookie", "a=b"}});
  EXPECT_EQ(busy.error.status, 429);
  ASSERT_EQ(busy.headers.size(), 1U);
  EXPECT_EQ(busy.headers[0].second, "7");
}

TEST(Fault, TheProvidersKeyAndBillAreNobodyElsesConcern) {
  for (const int status : {401, 402, 403, 301, 307, 418, 204}) {
    const auto fault = answered(status, kKeyError);
    EXPECT_EQ(fault.error.status, 502) << status;
    EXPECT_EQ(fault.error.message.find("sk-abc"), std::string::npos);
    EXPECT_TRUE(fault.own);
  }
  const auto bill =
      answered(429, R"({"error":{"message":"check your plan","type":"insufficient_quota","code":)"
                    R"("insufficient_quota"}})");
  EXPECT_EQ(bill.error.status, 502);
  EXPECT_EQ(bill.error.code, "upstream_unavailable");
  EXPECT_TRUE(bill.own);
}

TEST(Fault, ItsFailuresKeepTheirStatusAndNotTheirWords) {
  for (const int status : {500, 502, 503, 504}) {
    const auto fault = answered(status, "<html>host db-7.internal is down</html>");
    EXPECT_EQ(fault.error.status, status);
    EXPECT_EQ(fault.error.message.find("db-7"), std::string::npos);
  }
}

TEST(Fault, WithoutAnAnswerThereIsAStatusForIt) {
  const auto of = [](http::Failure failure) {
    http::Outcome outcome;
    outcome.failure = failure;
    return fault_of(outcome).error;
  };
  EXPECT_EQ(of(http::Failure::connect).status, 502);
  EXPECT_EQ(of(http::Failure::tls).status, 502);
  EXPECT_EQ(of(http::Failure::broken).status, 502);
  EXPECT_EQ(of(http::Failure::too_large).status, 502);
  EXPECT_EQ(of(http::Failure::timed_out).status, 504);
  EXPECT_EQ(of(http::Failure::cancelled).status, 503);
}

}  // namespace
}  // namespace retort::relay
