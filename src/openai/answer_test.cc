#include "openai/answer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "json/value.h"

namespace retort::openai {
namespace {

ChatAnswer sample() {
  ChatAnswer answer{.id = "chatcmpl-1", .model = "m", .created = 1'800'000'000};
  ChatChoice choice{.index = 0, .opens = true, .content = "caf\xc3\xa9", .finish_reason = "stop"};
  choice.logprobs = {{"caf", -0.5, {{"caf", -0.5, {}}, {"tea", -1.5, {}}}},
                     {"\xc3", -0.25, {{"\xc3", -0.25, {}}}}};
  answer.choices = {choice, {.index = 1, .opens = true, .content = "", .finish_reason = "length"}};
  answer.usage = Usage{10, 5, 4};
  return answer;
}

TEST(AnswerTest, ChatAnswersReadBackEqual) {
  const std::string printed = print_chat_answer(sample());
  const auto read = parse_chat_answer(printed);
  ASSERT_TRUE(read.ok()) << read.error().text();
  EXPECT_EQ(print_chat_answer(*read), printed);
  EXPECT_EQ(read->choices[0].content, "caf\xc3\xa9");
  EXPECT_EQ(read->choices[0].logprobs, sample().choices[0].logprobs);  // exact bytes
  EXPECT_EQ(read->choices[1].finish_reason, "length");
  EXPECT_EQ(read->usage, sample().usage);
}

TEST(AnswerTest, ChatAnswersHaveTheShapeOfOpenAis) {
  const auto root = json::parse(print_chat_answer(sample()));
  ASSERT_TRUE(root.ok());
  EXPECT_EQ(root->find("object")->as_string(), "chat.completion");
  EXPECT_EQ(root->find("usage")->find("total_tokens")->as_int(), 15);
  const json::Value& choice = root->find("choices")->as_array()[0];
  EXPECT_EQ(choice.find("message")->find("role")->as_string(), "assistant");
  EXPECT_TRUE(choice.find("message")->find("refusal")->is_null());
  const json::Value& token = choice.find("logprobs")->find("content")->as_array()[1];
  EXPECT_EQ(token.find("token")->as_string(), "\\xc3");
  EXPECT_EQ(token.find("bytes")->as_array()[0].as_int(), 0xc3);
  EXPECT_EQ(token.find("top_logprobs")->as_array().size(), 1u);
}

TEST(AnswerTest, PiecesSayOnlyWhatIsNew) {
  ChatAnswer piece{.id = "i", .model = "m", .created = 1};
  piece.choices = {{.index = 0, .content = "a"}};
  EXPECT_EQ(print_chat_piece(piece, /*usage_follows=*/false),
            R"({"id":"i","object":"chat.completion.chunk","created":1,"model":"m","choices":[)"
            R"({"index":0,"delta":{"content":"a"},"logprobs":null,"finish_reason":null}]})");
  EXPECT_NE(print_chat_piece(piece, /*usage_follows=*/true).find("\"usage\":null"),
            std::string::npos);
  const auto read = parse_chat_piece(print_chat_piece(piece, /*usage_follows=*/true));
  ASSERT_TRUE(read.ok());
  EXPECT_FALSE(read->choices[0].opens);
  EXPECT_EQ(read->choices[0].content, "a");
  EXPECT_EQ(read->choices[0].finish_reason, "");
  EXPECT_FALSE(read->usage.has_value());
}

TEST(AnswerTest, TeachersMayLeaveThingsOut) {
  const auto bare = parse_chat_answer(R"({"choices":[{"message":{"content":"x"}}]})");
  ASSERT_TRUE(bare.ok());
  EXPECT_FALSE(bare->usage.has_value());
  EXPECT_EQ(bare->choices[0].finish_reason, "");
  EXPECT_FALSE(bare->choices[0].logprobs.has_value());
  const auto empty = parse_chat_answer(R"({"id":"a","choices":[],"usage":null,"x":{"y":[1]}})");
  ASSERT_TRUE(empty.ok());
  EXPECT_TRUE(empty->choices.empty());
  const auto refused = parse_chat_answer(
      R"({"choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":"no"},)"
      R"("finish_reason":"content_filter"}]})");
  ASSERT_TRUE(refused.ok());
  EXPECT_EQ(refused->choices[0].refusal, "no");
  EXPECT_FALSE(refused->choices[0].content.has_value());
  const auto tools =
      parse_chat_answer(R"({"choices":[{"message":{"content":null,"tool_calls":[{"id":"1"}]}}]})");
  EXPECT_TRUE(tools->choices[0].tool_calls);
}

TEST(AnswerTest, AnErrorInsideA200IsAnError) {
  for (const char* body :
       {R"({"error":{"message":"broke","type":"server_error","code":500}})",
        R"({"object":"error","message":"broke","type":"server_error"})", R"({"error":"broke"})"}) {
    const auto chat = parse_chat_answer(body);
    ASSERT_TRUE(chat.ok()) << body;
    ASSERT_TRUE(chat->error.has_value()) << body;
    EXPECT_EQ(chat->error->message, "broke");
    EXPECT_TRUE(parse_completion(body)->error.has_value());
  }
}

TEST(AnswerTest, HostileAnswersAreErrors) {
  for (const char* body :
       {"", "null", "[]", "{}", "{\"choices\":null}", R"({"choices":[1]})",
        R"({"choices":[{"message":null}]})", R"({"choices":[{"message":{"content":1}}]})",
        R"({"choices":[{"index":-1,"message":{}}]})",
        R"({"choices":[{"index":99999999999,"message":{}}]})",
        R"({"choices":[{"message":{},"finish_reason":1}]})",
        R"({"choices":[],"usage":{"prompt_tokens":-5}})",
        R"({"choices":[],"usage":{"prompt_tokens":9223372036854775807}})",
        R"({"choices":[],"usage":[]})", R"({"choices":[{"message":{},"logprobs":{"content":1}}]})",
        R"({"choices":[{"message":{},"logprobs":{"content":[{"token":"a"}]}}]})",
        R"({"choices":[{"message":{},"logprobs":{"content":[)"
        R"({"token":"a","logprob":-1,"bytes":[256]}]}}]})",
        "{\"choices\":[{\"message\":{\"content\":\"\xff\"}}]}"}) {
    EXPECT_FALSE(parse_chat_answer(body).ok()) << body;
  }
  EXPECT_FALSE(parse_chat_answer(std::string(100'000, '[')).ok());
  for (const char* body :
       {R"({"choices":[{"text":1}]})", R"({"choices":[{}]})",
        R"({"choices":[{"text":"a","logprobs":{"tokens":["a"],"token_logprobs":[]}}]})",
        R"({"choices":[{"text":"a","logprobs":{"tokens":["a"],"token_logprobs":["x"]}}]})"}) {
    EXPECT_FALSE(parse_completion(body).ok()) << body;
  }
}

TEST(AnswerTest, CompletionsReadBackEqual) {
  CompletionAnswer answer{.id = "cmpl-1", .model = "m", .created = 2};
  CompletionLogprobs logprobs{.tokens = {"a", completion_token_text("\xf0\x9f")},
                              .token_logprobs = {std::nullopt, -2.0},
                              .top_logprobs = {{}, {{"b", -1.0}, {"b", -3.0}}},
                              .text_offset = {0, 1}};
  answer.choices = {{.index = 0, .text = "ab", .finish_reason = "stop", .logprobs = logprobs}};
  answer.usage = Usage{1, 2, 0};
  const auto read = parse_completion(print_completion(answer));
  ASSERT_TRUE(read.ok()) << read.error().text();
  EXPECT_EQ(read->choices[0].text, "ab");
  EXPECT_EQ(read->choices[0].logprobs->tokens[1], "bytes:\\xf0\\x9f");
  EXPECT_EQ(read->choices[0].logprobs->token_logprobs[0], std::nullopt);
  // One text, two tokens: the likelier one is kept.
  EXPECT_EQ(read->choices[0].logprobs->top_logprobs[1],
            (std::vector<std::pair<std::string, double>>{{"b", -1.0}}));
  EXPECT_EQ(read->usage, answer.usage);
}

TEST(AnswerTest, ImpossibleLogprobsStayNumbers) {
  ChatAnswer answer = sample();
  (*answer.choices[0].logprobs)[0].logprob = -std::numeric_limits<double>::infinity();
  (*answer.choices[0].logprobs)[1].logprob = std::nan("");
  const auto read = parse_chat_answer(print_chat_answer(answer));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ((*read->choices[0].logprobs)[0].logprob, -9999.0);
  EXPECT_EQ((*read->choices[0].logprobs)[1].logprob, -9999.0);
}

TEST(ErrorTest, ErrorsOfAnyShapeAreRead) {
  const ApiError made = make_error(404, "no such model", "model", "model_not_found");
  EXPECT_EQ(parse_error(404, print_error(made)), made);
  EXPECT_EQ(print_error(make_error(500, "x")),
            R"({"error":{"message":"x","type":"server_error","param":null,"code":null}})");
  EXPECT_EQ(parse_error(422, R"({"detail":"bad"})").message, "bad");
  EXPECT_EQ(parse_error(429, R"({"error":{"message":"slow","code":429}})").code, "429");
  EXPECT_EQ(parse_error(429, "").type, "rate_limit_error");
  EXPECT_EQ(parse_error(502, "<html>\x1b[31mbad\xff</html>").message,
            "<html> [31mbad\xef\xbf\xbd</html>");
  EXPECT_EQ(parse_error(500, std::string(1 << 20, 'a')).message.size(), 500u);
  EXPECT_FALSE(parse_error(503, "").message.empty());
}

TEST(ModelsTest, ListsReadBack) {
  const auto ids = parse_models(print_models({{.id = "a", .created = 1}, {.id = "b"}}));
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(*ids, (std::vector<std::string>{"a", "b"}));
  for (const char* body :
       {"", "{}", R"({"data":1})", R"({"data":[{}]})", R"({"data":[{"id":1}]})"}) {
    EXPECT_FALSE(parse_models(body).ok()) << body;
  }
}

}  // namespace
}  // namespace retort::openai
