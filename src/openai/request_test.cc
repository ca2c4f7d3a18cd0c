#include "openai/request.h"

#include <gtest/gtest.h>

#include "openai/testing_internal.h"

namespace retort::openai {
namespace {

// A chat request with these members beside the needed ones.
Parsed<ChatRequest> chat(const std::string& more) {
  return parse_chat_request(R"({"model":"m","messages":[{"role":"user","content":"hi"}])" +
                            (more.empty() ? "" : "," + more) + "}");
}

using testing::recorded_body;

TEST(RequestTest, ReadsWhatTheOfficialClientSends) {
  const auto plain = parse_chat_request(recorded_body("chat"));
  ASSERT_TRUE(plain.ok()) << plain.error().message;
  EXPECT_EQ(plain->generation.model, "teacher");
  EXPECT_EQ(plain->generation.temperature, 0.7);
  EXPECT_EQ(plain->generation.top_p, 0.9);
  EXPECT_EQ(plain->generation.max_tokens, 8);
  EXPECT_EQ(plain->generation.seed, 7);
  ASSERT_EQ(plain->messages.size(), 2u);
  EXPECT_EQ(plain->messages[0].role, dialog::Role::system);
  EXPECT_EQ(plain->messages[1].content, "Write one line about a café and a boat. 🚣");

  const auto stream = parse_chat_request(recorded_body("chat_stream"));
  ASSERT_TRUE(stream.ok());
  EXPECT_TRUE(stream->generation.stream);
  EXPECT_TRUE(stream->generation.include_usage);
  EXPECT_EQ(stream->generation.max_tokens, 8);

  const auto logprobs = parse_chat_request(recorded_body("chat_logprobs"));
  ASSERT_TRUE(logprobs.ok());
  EXPECT_EQ(logprobs->messages[0].content, "Two parts.");
  EXPECT_EQ(logprobs->generation.n, 2);
  EXPECT_TRUE(logprobs->logprobs);
  EXPECT_EQ(logprobs->top_logprobs, 3);
  EXPECT_EQ(logprobs->generation.stop, (std::vector<std::string>{"\n\n", "END"}));

  const auto extra = parse_chat_request(recorded_body("chat_extra"));
  ASSERT_TRUE(extra.ok());
  EXPECT_EQ(extra->generation.top_k, 40);
  EXPECT_EQ(extra->generation.repetition_penalty, 1.15);

  const auto tools = parse_chat_request(recorded_body("chat_tools"));
  ASSERT_FALSE(tools.ok());
  EXPECT_EQ(tools.error().param, "tools");

  const auto completion = parse_completion_request(recorded_body("completion"));
  ASSERT_TRUE(completion.ok());
  EXPECT_EQ(completion->prompts, std::vector<Prompt>{std::string("Once upon a time")});
  EXPECT_EQ(completion->logprobs, 2);
  const auto ids = parse_completion_request(recorded_body("completion_ids"));
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(ids->prompts,
            (std::vector<Prompt>{std::vector<int32_t>{1, 2, 3}, std::vector<int32_t>{4, 5}}));
  EXPECT_EQ(parse_completion_request(recorded_body("completion_stream"))->prompts.size(), 2u);
}

// The ids of "The capital of France is" and an answer to it.
TEST(RequestTest, ReadsWhatScoringProgramsSend) {
  for (const char* name : {"lm_eval_ids", "lm_eval_text"}) {
    const auto asked = parse_completion_request(recorded_body(name));
    ASSERT_TRUE(asked.ok()) << name << asked.error().message;
    const bool text = std::string_view(name) == "lm_eval_text";
    EXPECT_EQ(asked->prompts.size(), text ? 1u : 2u);
    EXPECT_EQ(std::holds_alternative<std::string>(asked->prompts[0]), text);
    EXPECT_TRUE(asked->echo);
    EXPECT_EQ(asked->logprobs, 1);
    EXPECT_EQ(asked->generation.max_tokens, 1);
    EXPECT_EQ(asked->generation.temperature, 0.0);
    EXPECT_EQ(asked->generation.seed, 1234);
  }
  const auto trainer = parse_completion_request(recorded_body("trl_sequence_logprobs"));
  ASSERT_TRUE(trainer.ok()) << trainer.error().message;
  EXPECT_EQ(trainer->prompts,
            (std::vector<Prompt>{std::vector<int32_t>{1, 2, 3, 4}, std::vector<int32_t>{5, 6, 7}}));
  EXPECT_EQ(trainer->prompt_logprobs, 4);
  EXPECT_EQ(trainer->generation.max_tokens, 1);
}

TEST(RequestTest, HowManyAlternativesIsForTheServerToSay) {
  const std::string chat_begin =
      R"({"model":"m","messages":[{"role":"user","content":"hi"}],"logprobs":true,)";
  const std::string begin = R"({"model":"m","prompt":"x","max_tokens":1,)";
  const std::string hundred = R"(logprobs":100})";
  for (const int64_t most : {20, 99, 100, 1024}) {
    const auto chat = parse_chat_request(chat_begin + "\"top_" + hundred, most);
    const auto completion = parse_completion_request(begin + "\"" + hundred, most);
    const auto prompt = parse_completion_request(begin + "\"prompt_" + hundred, most);
    ASSERT_EQ(chat.ok(), most >= 100);
    ASSERT_EQ(completion.ok(), most >= 100);
    ASSERT_EQ(prompt.ok(), most >= 100);
    if (most >= 100) continue;
    EXPECT_EQ(chat.error().param, "top_logprobs");
    EXPECT_EQ(completion.error().param, "logprobs");
    EXPECT_EQ(prompt.error().param, "prompt_logprobs");
    EXPECT_EQ(prompt.error().status, 400);
    EXPECT_NE(prompt.error().message.find("from 0 to " + std::to_string(most)), std::string::npos);
    EXPECT_NE(prompt.error().message.find("--max-logprobs"), std::string::npos);
  }
}

TEST(RequestTest, WhatWouldChangeTheAnswerIsRefusedByName) {
  for (const auto& [more, param] : std::vector<std::pair<std::string, std::string>>{
           {R"("tools":[{"type":"function"}])", "tools"},
           {R"("tool_choice":"required")", "tool_choice"},
           {R"("response_format":{"type":"json_object"})", "response_format"},
           {R"("guided_regex":"a+")", "guided_regex"},
           {R"("min_tokens":4)", "min_tokens"},
           {R"("best_of":2)", "best_of"},
           {R"("reasoning_effort":"high")", "reasoning_effort"},
           {R"("modalities":["text","audio"])", "modalities"},
           {R"("temprature":1)", "temprature"}}) {
    const auto request = chat(more);
    ASSERT_FALSE(request.ok()) << more;
    EXPECT_EQ(request.error().status, 400);
    EXPECT_EQ(request.error().param, param);
    EXPECT_NE(request.error().message.find(param), std::string::npos);
  }
}

TEST(RequestTest, WhatChangesNothingIsTaken) {
  for (const char* more :
       {"", R"("user":"u","metadata":{"a":"b"},"store":true,"service_tier":"auto")",
        R"("presence_penalty":0,"frequency_penalty":0.0,"logit_bias":{},"tools":[])",
        R"("response_format":{"type":"text"},"tool_choice":"none","modalities":["text"])",
        R"("temperature":null,"stop":null,"n":null,"max_tokens":null,"logprobs":null,"tools":null)",
        R"("top_logprobs":0,"top_k":-1,"stream":false,"stream_options":{"include_usage":false})"}) {
    const auto request = chat(more);
    EXPECT_TRUE(request.ok()) << more << request.error().message;
  }
}

TEST(RequestTest, RangesAreChecked) {
  for (const auto& [more, param] : std::vector<std::pair<std::string, std::string>>{
           {R"("n":1000000000)", "n"},
           {R"("n":0)", "n"},
           {R"("n":1.5)", "n"},
           {R"("max_tokens":0)", "max_tokens"},
           {R"("max_tokens":-1)", "max_tokens"},
           {R"("max_tokens":1e18)", "max_tokens"},
           {R"("max_completion_tokens":"8")", "max_completion_tokens"},
           {R"("temperature":2.1)", "temperature"},
           {R"("temperature":-0.1)", "temperature"},
           {R"("temperature":"hot")", "temperature"},
           {R"("top_p":1.01)", "top_p"},
           {R"("top_k":-2)", "top_k"},
           {R"("repetition_penalty":0)", "repetition_penalty"},
           {R"("logprobs":true,"top_logprobs":21)", "top_logprobs"},
           {R"("top_logprobs":2)", "top_logprobs"},
           {R"("stream":1)", "stream"},
           {R"("stop":["1","2","3","4","5","6","7","8","9"])", "stop"},
           {R"("stop":"")", "stop"},
           {R"("presence_penalty":2.5)", "presence_penalty"},
           {R"("frequency_penalty":-2.5)", "frequency_penalty"},
           {R"("min_p":2)", "min_p"},
           {R"("logit_bias":{"x":1})", "logit_bias"},
           {R"("logit_bias":{"1":101})", "logit_bias"},
           {R"("logit_bias":{"-1":1})", "logit_bias"},
           {R"("logit_bias":{"1 ":1})", "logit_bias"},
           {R"("logit_bias":[1])", "logit_bias"},
           {R"("stop_token_ids":7)", "stop_token_ids"},
           {R"("stop_token_ids":[-1])", "stop_token_ids"},
           {R"("max_completion_tokens":0)", "max_completion_tokens"},
           {R"("stop":[1])", "stop"},
           {R"("seed":"x")", "seed"},
           {R"("stream_options":{"include_usage":1})", "stream_options.include_usage"}}) {
    const auto request = chat(more);
    ASSERT_FALSE(request.ok()) << more;
    EXPECT_EQ(request.error().param, param) << more;
  }
  EXPECT_TRUE(chat(R"("n":8,"temperature":2,"top_p":0,"logprobs":true,"top_logprobs":20)").ok());
}

TEST(RequestTest, TheFieldsOfSamplingAreRead) {
  const auto request = chat(R"("min_p":0.05,"presence_penalty":0.5,"frequency_penalty":-1,)"
                            R"("logit_bias":{"7":-100,"9":1.5},)"
                            R"("stop_token_ids":[2,3],"ignore_eos":true)");
  ASSERT_TRUE(request.ok()) << request.error().message;
  const Generation& read = request->generation;
  EXPECT_EQ(read.min_p, 0.05);
  EXPECT_EQ(read.presence_penalty, 0.5);
  EXPECT_EQ(read.frequency_penalty, -1);
  EXPECT_EQ(read.logit_bias, (std::vector<std::pair<int32_t, double>>{{7, -100}, {9, 1.5}}));
  EXPECT_EQ(read.stop_token_ids, (std::vector<int32_t>{2, 3}));
  EXPECT_TRUE(read.ignore_eos);
  const auto again = parse_chat_request(json::dump(print_request(*request)));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(print_request(*again), print_request(*request));
}

TEST(RequestTest, OnlyScoringMayGenerateNothing) {
  const std::string begin = R"({"model":"m","prompt":[1,2],"max_tokens":0)";
  EXPECT_EQ(parse_completion_request(begin + "}").error().param, "max_tokens");
  EXPECT_TRUE(parse_completion_request(begin + R"(,"echo":true,"logprobs":1})").ok());
  EXPECT_TRUE(parse_completion_request(begin + R"(,"prompt_logprobs":0})").ok());
}

// Word for word what lm-evaluation-harness sends to score a continuation.
TEST(RequestTest, ReadsWhatLmEvalSends) {
  const auto request = parse_completion_request(
      R"({"prompt": [[3, 4, 5]], "model": "m", "max_tokens": 1, "temperature": 0, "logprobs": 1,)"
      R"( "seed": 1234, "echo": true})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(request->prompts, std::vector<Prompt>{(std::vector<int32_t>{3, 4, 5})});
  EXPECT_TRUE(request->echo);
  EXPECT_EQ(request->logprobs, 1);
  EXPECT_EQ(request->generation.max_tokens, 1);
  EXPECT_EQ(request->generation.seed, 1234);
}

TEST(RequestTest, MessagesOfOtherShapesAreRefusedByPlace) {
  const auto with = [](const std::string& messages) {
    return parse_chat_request(R"({"model":"m","messages":)" + messages + "}");
  };
  const std::string one = R"({"role":"user","content":"x"})";
  std::string many = "[" + one;
  for (int i = 0; i < kMessagesMax; ++i) many += "," + one;
  for (const auto& [messages, param] : std::vector<std::pair<std::string, std::string>>{
           {"[]", "messages"},
           {"{}", "messages"},
           {"null", "messages"},
           {many + "]", "messages"},
           {"[1]", "messages[0]"},
           {"[" + one + R"(,{"role":"robot","content":"x"}])", "messages[1].role"},
           {R"([{"role":"tool","content":"x"}])", "messages[0].role"},
           {R"([{"role":"user"}])", "messages[0].content"},
           {R"([{"role":"user","content":null}])", "messages[0].content"},
           {R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://a"}}]}])",
            "messages[0].content"},
           {R"([{"role":"user","content":"x","name":"bob"}])", "messages[0]"}}) {
    const auto request = with(messages);
    ASSERT_FALSE(request.ok()) << messages.substr(0, 80);
    EXPECT_EQ(request.error().param, param);
  }
  const auto developer = with(R"([{"role":"developer","content":"x"},)" + one + "]");
  ASSERT_TRUE(developer.ok());
  EXPECT_EQ(developer->messages[0].role, dialog::Role::system);
}

TEST(RequestTest, BodiesThatAreNoObjectAreErrors) {
  for (const char* body :
       {"", "[]", "1", "{", "{\"model\":\"m\",\"model\":\"n\"}", "{\"a\":\xff}"}) {
    EXPECT_FALSE(parse_chat_request(body).ok()) << body;
    EXPECT_FALSE(parse_completion_request(body).ok()) << body;
  }
  EXPECT_EQ(parse_chat_request(R"({"messages":[]})").error().param, "model");
}

TEST(RequestTest, PromptsOfOtherShapesAreRefused) {
  for (const char* prompt : {"1", "[]", "[[]]", "[-1]", "[2147483648]", "[1,\"a\"]", "{}",
                             "[[1],[\"a\"]]", "[1.5]", "null"}) {
    const auto request =
        parse_completion_request(R"({"model":"m","prompt":)" + std::string(prompt) + "}");
    ASSERT_FALSE(request.ok()) << prompt;
    EXPECT_EQ(request.error().param, "prompt");
  }
}

TEST(RequestTest, PrintedRequestsReadBackEqual) {
  ChatRequest request;
  request.generation = {.model = "m",
                        .temperature = 0.7,
                        .top_p = 0.9,
                        .top_k = 5,
                        .repetition_penalty = 1.15,
                        .max_tokens = 80,
                        .seed = -3,
                        .n = 2,
                        .stop = {"a", "b"},
                        .stream = true,
                        .include_usage = true};
  request.messages = {{dialog::Role::system, "s"}, {dialog::Role::user, "u \"\n"}};
  request.logprobs = true;
  request.top_logprobs = 4;
  const json::Value printed = print_request(request);
  const auto again = parse_chat_request(json::dump(printed));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(print_request(*again), printed);
  EXPECT_EQ(again->messages, request.messages);
  EXPECT_EQ(again->generation.repetition_penalty, 1.15);
  EXPECT_EQ(again->top_logprobs, 4);

  CompletionRequest completion;
  completion.generation.model = "m";
  completion.prompts = {std::string("a"), std::vector<int32_t>{1, 2}};
  completion.logprobs = 0;
  completion.echo = true;
  const auto read = parse_completion_request(json::dump(print_request(completion)));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->prompts, completion.prompts);
  EXPECT_EQ(read->logprobs, 0);
  EXPECT_TRUE(read->echo);
}

TEST(RequestTest, BestOfIsNOrMoreAndNotStreamed) {
  const auto ask = [](const std::string& more) {
    return parse_completion_request(R"({"model":"m","prompt":"a",)" + more + "}");
  };
  const auto four = ask(R"("n":2,"best_of":4)");
  ASSERT_TRUE(four.ok()) << four.error().message;
  EXPECT_EQ(four->best_of, 4);
  EXPECT_EQ(print_request(*four).find("best_of")->as_int(), 4);
  EXPECT_TRUE(ask(R"("n":2,"best_of":2,"stream":true)").ok());
  EXPECT_TRUE(ask(R"("best_of":20)").ok());
  for (const char* more : {R"("n":3,"best_of":2)", R"("n":2,"best_of":1)", R"("best_of":21)",
                           R"("best_of":0)", R"("best_of":2,"stream":true)", R"("best_of":"2")"}) {
    ASSERT_FALSE(ask(more).ok()) << more;
    EXPECT_EQ(ask(more).error().status, 400);
    EXPECT_EQ(ask(more).error().param, "best_of");
  }
}

}  // namespace
}  // namespace retort::openai
