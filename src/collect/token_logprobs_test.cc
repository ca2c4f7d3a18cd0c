// Answers of foreign servers (tests/golden/openai/answers.py made them) and those that no server
// should send.
#include "collect/token_logprobs.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/files.h"
#include "collect/reply.h"

namespace retort::collect {
namespace {

Answer golden(const std::string& name) {
  Exchange exchange;
  exchange.end = Exchange::End::answered;
  exchange.status = 200;
  exchange.body = *base::read_file(RETORT_SOURCE_DIR "/tests/golden/openai/" + name);
  Reply reply = judge(exchange, 0);
  EXPECT_EQ(reply.kind, ReplyKind::answer) << reply.why;
  EXPECT_EQ(reply.answer.logprobs_fault, "");
  return reply.answer;
}

const corpus::TokenLogprobs::Entry& taken(const corpus::TokenLogprobs& token) {
  return token.entries.at(static_cast<size_t>(token.chosen));
}

std::string text_of(const std::vector<corpus::TokenLogprobs>& tokens) {
  std::string text;
  for (const auto& token : tokens) text += taken(token).bytes;
  return text;
}

TEST(TokenLogprobs, OpenAisShape) {
  const Answer answer = golden("openai.json");
  const auto& tokens = answer.logprobs;
  ASSERT_EQ(tokens.size(), 4U);
  EXPECT_EQ(text_of(tokens), answer.text) << "bytes of parts of a character";
  ASSERT_EQ(tokens[0].entries.size(), 3U);
  EXPECT_EQ(tokens[0].entries[2].bytes, "<|end|>") << "a special token by its text";
  EXPECT_EQ(tokens[0].entries[2].logprob, -9.5F);
  EXPECT_NEAR(tokens[0].tail, 1 - std::exp(-0.25) - std::exp(-1.75) - std::exp(-9.5), 1e-6);
  EXPECT_EQ(tokens[1].chosen, 1);
  EXPECT_EQ(tokens[1].entries.size(), 2U) << "the token taken is there once";
  EXPECT_EQ(tokens[2].chosen, 2);
  EXPECT_TRUE(std::isnan(taken(tokens[2]).logprob)) << "-9999 is no value";
  EXPECT_NEAR(tokens[2].tail, 1 - std::exp(-0.0625) - std::exp(-3.5), 1e-6);
  EXPECT_EQ(tokens[3].tail, 0);
}

TEST(TokenLogprobs, LlamaCppPythonSendsNoBytes) {
  const Answer answer = golden("llama_cpp.json");
  EXPECT_EQ(answer.logprobs.size(), 19U);
  EXPECT_EQ(answer.finish_reason, "stop");
  EXPECT_EQ(text_of(answer.logprobs), answer.text) << "and no token that ends the answer";
  for (const auto& token : answer.logprobs) {
    EXPECT_EQ(token.entries.size(), 5U);
    EXPECT_EQ(token.chosen, 0) << "greedy";
    EXPECT_GT(token.tail, 0);
    EXPECT_LT(token.tail, 1);
  }
}

Result<std::vector<corpus::TokenLogprobs>> read(const std::string& tokens) {
  return read_logprobs(*json::parse(R"({"logprobs": {"content": [)" + tokens + "]}}"));
}

TEST(TokenLogprobs, NoneIsNoFault) {
  for (const char* choice :
       {"{}", R"({"logprobs": null})", R"({"logprobs": {"content": null, "refusal": []}})"}) {
    const auto tokens = read_logprobs(*json::parse(choice));
    ASSERT_TRUE(tokens.ok()) << choice;
    EXPECT_TRUE(tokens->empty());
  }
}

TEST(TokenLogprobs, AValueThatComesAloneIsAPlaceholder) {
  const auto tokens = read(R"({"token": "a", "logprob": 0, "bytes": [97], "top_logprobs": []})");
  ASSERT_TRUE(tokens.ok()) << tokens.error().text();
  EXPECT_TRUE(std::isnan(taken(tokens->at(0)).logprob));
  EXPECT_EQ(tokens->at(0).tail, 1);
}

TEST(TokenLogprobs, AlternativesSpeltAlikeAreToldApartByTheirValue) {
  const auto tokens = read(R"({"token": "", "logprob": -3, "bytes": [], "top_logprobs": [
      {"token": "", "logprob": -3, "bytes": []}, {"token": "x", "logprob": -2, "bytes": [120]},
      {"token": "", "logprob": -0.25, "bytes": []},
      {"token": "y", "logprob": -9999, "bytes": [121]}]})");
  ASSERT_TRUE(tokens.ok()) << tokens.error().text();
  ASSERT_EQ(tokens->at(0).entries.size(), 3U);
  EXPECT_EQ(tokens->at(0).chosen, 2);
  EXPECT_EQ(taken(tokens->at(0)).logprob, -3);
  EXPECT_EQ(tokens->at(0).entries[0].logprob, -0.25F) << "likeliest first";
  EXPECT_EQ(tokens->at(0).entries[1].bytes, "x");
}

TEST(TokenLogprobs, MoreAlternativesThanAFileTakesAreCut) {
  std::string top;
  for (int i = 0; i < 400; ++i) {
    top += R"({"token": "t)" + std::to_string(i) + R"(", "logprob": )" +
           std::to_string(-8 - 0.001 * i) + "},";
  }
  top.pop_back();
  const auto tokens = read(R"({"token": "z", "logprob": -9, "top_logprobs": [)" + top + "]}");
  ASSERT_TRUE(tokens.ok()) << tokens.error().text();
  EXPECT_EQ(std::ssize(tokens->at(0).entries), corpus::kLogprobEntriesMax);
  EXPECT_EQ(taken(tokens->at(0)).bytes, "z");
}

TEST(TokenLogprobs, WhatCannotBeIsRefused) {
  const char* const good = R"({"token": "b", "logprob": -0.5})";
  for (const std::string& tokens :
       {std::string(R"({"token": "a", "logprob": 0.5, "top_logprobs": [)") + good + "]}",
        std::string(R"({"token": "a", "logprob": -0.1, "top_logprobs": [)") + good + "]}",
        std::string(R"({"token": "b", "logprob": -1, "top_logprobs": [)") + good + "," +
            R"({"token": "c", "logprob": 1e300}]})",
        std::string(R"({"token": "a", "top_logprobs": []})"),
        std::string(R"({"token": "a", "logprob": "-1"})"),
        std::string(R"({"token": "a", "logprob": -1, "bytes": [256]})"), std::string("3")}) {
    EXPECT_FALSE(read(tokens).ok()) << tokens;
  }
}

}  // namespace
}  // namespace retort::collect
