#include "serve/plan_internal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "serve/testing_internal.h"

namespace retort::serve {
namespace {

using tokenizer::TokenId;

openai::Parsed<Plan> chat(const std::string& more, const Backend& backend,
                          const Options& options = {}) {
  const auto request =
      openai::parse_chat_request(R"({"model":"model","messages":[{"role":"user","content":"hi"}])" +
                                 (more.empty() ? "" : "," + more) + "}");
  EXPECT_TRUE(request.ok()) << request.error().message;
  return plan_chat(*request, backend, options);
}

openai::Parsed<Plan> completion(const std::string& more, const Backend& backend,
                                const Options& options = {}) {
  const auto request = openai::parse_completion_request(R"({"model":"model",)" + more + "}");
  EXPECT_TRUE(request.ok()) << request.error().message;
  return plan_completion(*request, backend, options);
}

TEST(PlanTest, MessagesThatTheTemplateDoesNotAllowAreRefused) {
  Script script;
  script.chat_template = "mistral";
  const ScriptedBackend backend(script);
  const auto plan = [&](const std::string& messages) {
    const auto request = openai::parse_chat_request(
        R"({"model":"model","messages":[)" + messages + "]}", /*max_logprobs=*/20);
    EXPECT_TRUE(request.ok());
    const auto made = plan_chat(*request, backend, Options{});
    return made.ok() ? std::string("ok") : made.error().param + ": " + made.error().message;
  };
  const std::string user = R"({"role":"user","content":"Hi"})";
  EXPECT_EQ(plan(user), "ok");
  EXPECT_THAT(plan(user + "," + user),
              testing::AllOf(testing::StartsWith("messages: "), testing::HasSubstr("take turns")));
}

TEST(PlanTest, SilentRequestsAreSampledAsOpenAiDoes) {
  const ScriptedBackend backend;
  const auto plan = chat("", backend);
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  ASSERT_EQ(plan->choices.size(), 1u);
  const engine::Request& request = plan->choices[0].request;
  EXPECT_EQ(request.sampling.temperature, 1.0);
  EXPECT_EQ(request.sampling.top_p, 1.0);
  EXPECT_EQ(request.sampling.repetition_penalty, 1.0);
  EXPECT_EQ(request.max_tokens, 256 - std::ssize(request.prompt));  // all there is room for
  EXPECT_EQ(request.stop_tokens, (std::vector<TokenId>{kEndOfTurn, kEndOfText}));
  EXPECT_NE(chat("", backend)->choices[0].request.sampling.seed, request.sampling.seed);
}

TEST(PlanTest, EveryFieldReachesTheEngine) {
  const ScriptedBackend backend;
  const auto plan =
      chat(R"("temperature":0.5,"top_p":0.9,"top_k":7,"min_p":0.05,"repetition_penalty":1.15,)"
           R"("presence_penalty":0.25,"frequency_penalty":-0.5,"logit_bias":{"65":-100},"seed":-3,)"
           R"("stop":["x"],"stop_token_ids":[9],"max_tokens":11,"logprobs":true,"top_logprobs":4)",
           backend);
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  const engine::Request& request = plan->choices[0].request;
  EXPECT_EQ(request.sampling.temperature, 0.5);
  EXPECT_EQ(request.sampling.top_p, 0.9);
  EXPECT_EQ(request.sampling.top_k, 7);
  EXPECT_EQ(request.sampling.min_p, 0.05);
  EXPECT_EQ(request.sampling.repetition_penalty, 1.15);
  EXPECT_EQ(request.sampling.presence_penalty, 0.25);
  EXPECT_EQ(request.sampling.frequency_penalty, -0.5);
  EXPECT_EQ(request.sampling.logit_bias, (std::vector<std::pair<TokenId, float>>{{65, -100.f}}));
  EXPECT_EQ(request.sampling.seed, static_cast<uint64_t>(-3));
  EXPECT_EQ(request.stop, std::vector<std::string>{"x"});
  EXPECT_EQ(request.stop_tokens, (std::vector<TokenId>{kEndOfTurn, kEndOfText, 9}));
  EXPECT_EQ(request.max_tokens, 11);
  EXPECT_TRUE(request.logprobs);
  EXPECT_EQ(request.top_logprobs, 4);
  EXPECT_TRUE(chat(R"("ignore_eos":true)", backend)->choices[0].request.stop_tokens.empty());
}

TEST(PlanTest, AnswersDifferAndPromptsSentTogetherDoNot) {
  const ScriptedBackend backend;
  const auto plan = completion(R"("prompt":["a","b"],"n":2,"seed":5)", backend);
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  ASSERT_EQ(plan->choices.size(), 4u);
  const auto seed = [&](size_t i) { return plan->choices[i].request.sampling.seed; };
  EXPECT_EQ(seed(0), 5u);
  EXPECT_NE(seed(0), seed(1));
  EXPECT_EQ(seed(0), seed(2));
  EXPECT_EQ(seed(1), seed(3));
  EXPECT_EQ(plan->choices[2].request.prompt, std::vector<TokenId>{'b'});
  EXPECT_EQ(plan->choices[2].request.max_tokens, 16);
}

TEST(PlanTest, WhatDoesNotFitIsRefusedBeforeAnyWork) {
  const ScriptedBackend backend;
  const std::string words(300, 'w');
  const auto code = [](const openai::Parsed<Plan>& plan) {
    return plan.ok() ? std::string("ok") : plan.error().code + "|" + plan.error().param;
  };
  EXPECT_EQ(code(completion(R"("prompt":")" + words + R"(")", backend)),
            "context_length_exceeded|prompt");
  EXPECT_EQ(code(completion(R"("prompt":"a","max_tokens":256)", backend)),
            "context_length_exceeded|prompt");
  EXPECT_EQ(code(completion(R"("prompt":"a","max_tokens":9223372036854775807)", backend)),
            "context_length_exceeded|prompt");
  EXPECT_EQ(code(completion(R"("prompt":"a","max_tokens":255)", backend)), "ok");
  EXPECT_EQ(code(chat(R"("max_tokens":250)", backend)), "context_length_exceeded|messages");
  EXPECT_EQ(code(completion(R"("prompt":[259])", backend)), "|prompt");
  EXPECT_EQ(code(completion(R"("prompt":"")", backend)), "|prompt");
  EXPECT_EQ(code(chat(R"("logit_bias":{"259":1})", backend)), "|logit_bias");
  EXPECT_EQ(code(chat(R"("stop_token_ids":[259])", backend)), "|stop_token_ids");
  Options small;
  small.max_answers = 3;
  EXPECT_EQ(code(completion(R"("prompt":["a","b"],"n":2)", backend, small)), "|n");
  small.max_request_tokens = 30;
  EXPECT_EQ(code(completion(R"("prompt":["a","b"])", backend, small)), "|max_tokens");
  const ScriptedBackend plain({.has_chat = false});
  EXPECT_EQ(code(chat("", plain)), "unsupported_operation|messages");
}

TEST(PlanTest, ScoringAsksForTheWholePrompt) {
  const ScriptedBackend backend;
  const auto plan = completion(
      R"("prompt":[65,66],"max_tokens":1,"temperature":0,"logprobs":1,"seed":1,"echo":true)",
      backend);
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_TRUE(plan->echo_logprobs);
  const ChoicePlan& choice = plan->choices[0];
  EXPECT_EQ(choice.echo, "AB");
  EXPECT_EQ(choice.request.prompt_logprobs, 1);
  EXPECT_EQ(choice.request.top_logprobs, 1);
  EXPECT_FALSE(completion(R"("prompt":"a","prompt_logprobs":1,"stream":true)", backend).ok());
  EXPECT_EQ(completion(R"("prompt":"a","prompt_logprobs":3)", backend)
                ->choices[0]
                .request.prompt_logprobs,
            3);
}

TEST(PlanTest, ThoughtsAreSkippedWhereTheTemplateHasASwitch) {
  const ScriptedBackend backend({.chat_template = "qwen3"});
  const auto opened = [&](const std::string& more) {
    const auto plan = chat(more, backend);
    EXPECT_TRUE(plan.ok()) << plan.error().message;
    return backend.tokenizer().decode(plan->choices[0].request.prompt);
  };
  const std::string off = opened(R"("chat_template_kwargs":{"enable_thinking":false})");
  EXPECT_TRUE(off.ends_with("assistant\n<think>\n\n</think>\n\n")) << off;
  EXPECT_EQ(opened(R"("chat_template_kwargs":{"enable_thinking":true})"), opened(""));
  EXPECT_TRUE(opened("").ends_with("assistant\n"));
}

TEST(PlanTest, CandidatesAreScoredAndCounted) {
  const ScriptedBackend backend;
  const auto plan = completion(R"("prompt":["a","b"],"n":2,"best_of":3,"seed":5)", backend);
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->choices.size(), 6u);
  EXPECT_EQ(plan->answers_per_prompt, 3);
  EXPECT_EQ(plan->returned_per_prompt, 2);
  EXPECT_FALSE(plan->logprobs);
  EXPECT_TRUE(plan->choices[0].request.logprobs);
  const auto three = completion(R"("prompt":"a","n":3,"seed":5)", backend);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(plan->choices[i].request.sampling.seed, three->choices[i].request.sampling.seed);
  }
  EXPECT_FALSE(three->choices[0].request.logprobs);
  Options small;
  small.max_answers = 5;
  EXPECT_FALSE(completion(R"("prompt":["a","b"],"best_of":3)", backend, small).ok());
}

TEST(OptionsTest, OpenAddressesNeedAKey) {
  Options options;
  EXPECT_TRUE(check(options).ok());
  options.host = "0.0.0.0";
  ASSERT_FALSE(check(options).ok());
  EXPECT_NE(check(options).error().hint.find("--api-key"), std::string::npos);
  options.api_key = "k";
  EXPECT_TRUE(check(options).ok());
  EXPECT_NE(warning(options).find("without TLS"), std::string::npos);
  options.proxies = {"10.0.0.1"};
  EXPECT_EQ(warning(options), "");
  EXPECT_EQ(warning({}), "");
  options.api_key = "a key";
  EXPECT_FALSE(check(options).ok());
}

}  // namespace
}  // namespace retort::serve
