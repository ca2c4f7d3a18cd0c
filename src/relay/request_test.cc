#include "relay/request.h"

#include <gtest/gtest.h>

#include "json/value.h"

namespace retort::relay {
namespace {

const Bounds kBounds{.max_tokens = 100, .max_answers = 4, .max_request_tokens = 300};

openai::Parsed<Asked> read(Kind kind, const std::string& body, const std::string& model,
                           const Bounds& bounds) {
  auto request = parse_request(body);
  if (!request) return request.error();
  return read_request(kind, std::move(*request), model, bounds);
}

openai::Parsed<Asked> chat(const std::string& members, const Bounds& bounds = kBounds) {
  return read(Kind::chat,
              R"({"model":"ours","messages":[{"role":"system","content":"Be brief."},)"
              R"({"role":"user","content":"Hello"}])" +
                  members + "}",
              "theirs", bounds);
}

json::Value sent(const openai::Parsed<Asked>& asked) {
  return asked.ok() ? *json::parse(asked->body) : json::Value();
}

TEST(RelayRequest, IsSentWithTheUpstreamsNameAndBounds) {
  const auto asked = chat(R"(,"temperature":0.5,"user":"somebody","service_tier":"priority")");
  ASSERT_TRUE(asked.ok()) << asked.error().message;
  const auto body = sent(asked);
  EXPECT_EQ(body.find("model")->as_string(), "theirs");
  EXPECT_EQ(body.find("max_tokens")->as_int(), 100) << "bounded where the client names no limit";
  EXPECT_EQ(body.find("user"), nullptr) << "who asks is not the upstream's to know";
  EXPECT_EQ(body.find("service_tier"), nullptr) << "nor is the client to choose a dearer service";
  EXPECT_EQ(body.find("stream_options"), nullptr);
  EXPECT_EQ(asked->max_tokens, 0);
  EXPECT_EQ(asked->output_tokens_most, 100);
  EXPECT_EQ(asked->temperature, 0.5);
  ASSERT_EQ(asked->turns.size(), 2U);
  EXPECT_EQ(asked->turns[1], (std::pair<std::string, std::string>("user", "Hello")));
}

TEST(RelayRequest, AStreamAlwaysAsksForItsCounts) {
  auto asked = chat(R"(,"stream":true)");
  EXPECT_FALSE(asked->usage_wanted);
  EXPECT_TRUE(sent(asked).find("stream_options")->find("include_usage")->as_bool());
  asked = chat(R"(,"stream":true,"stream_options":{"include_usage":true})");
  EXPECT_TRUE(asked->usage_wanted);
  asked = chat(R"(,"stream":true,"stream_options":{"include_usage":false,"more":1})");
  EXPECT_FALSE(asked->usage_wanted);
  EXPECT_EQ(sent(asked).find("stream_options")->find("more"), nullptr);
}

TEST(RelayRequest, ReservesEveryAnswerAndEveryByte) {
  const auto asked = chat(R"(,"max_completion_tokens":30,"n":3)");
  EXPECT_EQ(asked->output_tokens_most, 90);
  EXPECT_EQ(sent(asked).find("max_tokens"), nullptr);
  const auto longer = chat(R"(,"tools":[{"type":"function","function":{"name":"weather"}}])");
  EXPECT_GT(longer->input_tokens_most, chat("")->input_tokens_most + 40);
  EXPECT_TRUE(longer->tools);
  EXPECT_GT(longer->input_tokens_most, 4 * longer->input_tokens_likely);
  const auto prompts =
      read(Kind::completion, R"({"model":"m","prompt":["one","two"],"n":2,"max_tokens":10})", "m",
           kBounds);
  EXPECT_EQ(prompts->output_tokens_most, 40);
  EXPECT_EQ(prompts->turns[0].second, "one");
  const auto ids =
      read(Kind::completion, R"({"model":"m","prompt":[1,2,3],"max_tokens":10})", "m", kBounds);
  EXPECT_EQ(ids->answers, 1);
  EXPECT_GE(ids->input_tokens_most, 3);
}

TEST(RelayRequest, RefusesWhatNobodyReservedFor) {
  const std::pair<const char*, const char*> wrong[] = {
      {R"(,"max_tokens":101)", "max_tokens"},
      {R"(,"max_tokens":0)", "max_tokens"},
      {R"(,"max_tokens":1e3)", "max_tokens"},
      {R"(,"max_tokens":"9")", "max_tokens"},
      {R"(,"n":5)", "n"},
      {R"(,"n":-1)", "n"},
      {R"(,"n":4)", "max_tokens"},  // 400 tokens, and a request may have 300
      {R"(,"stream":"yes")", "stream"},
      {R"(,"temperature":"hot")", "temperature"},
      {R"(,"web_search_options":{})", "web_search_options"},
      {R"(,"modalities":["audio"])", "modalities"}};
  for (const auto& [members, param] : wrong) {
    const auto asked = chat(members);
    ASSERT_FALSE(asked.ok()) << members;
    EXPECT_EQ(asked.error().status, 400);
    EXPECT_EQ(asked.error().param, param) << members;
  }
}

TEST(RelayRequest, RefusesWhatIsNoText) {
  const auto image = read(
      Kind::chat,
      R"({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"What is it?"},)"
      R"({"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]}]})",
      "m", kBounds);
  ASSERT_FALSE(image.ok());
  EXPECT_EQ(image.error().code, "unsupported_content");
  for (const char* body : {"", "[]", "{", R"({"model":"m"})", R"({"messages":[]})",
                           R"({"messages":[3]})", R"({"messages":{"role":"user"}})"}) {
    EXPECT_FALSE(read(Kind::chat, body, "m", kBounds).ok()) << body;
    EXPECT_FALSE(read(Kind::completion, body, "m", kBounds).ok()) << body;
  }
}

TEST(RelayRequest, TheModelIsFoundInAnything) {
  EXPECT_EQ(*model_of(*parse_request(R"({"model":"a","x":[1]})")), "a");
  EXPECT_EQ(model_of(*parse_request(R"({"model":3})")), nullptr);
  EXPECT_EQ(model_of(*parse_request("{}")), nullptr);
  EXPECT_FALSE(parse_request("[]"));
  EXPECT_FALSE(parse_request("{"));
}

}  // namespace
}  // namespace retort::relay
