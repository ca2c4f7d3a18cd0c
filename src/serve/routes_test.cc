// What each route takes and answers, over real sockets and before a scripted model.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "serve/server_testing_internal.h"

namespace retort::serve {
namespace {

// Each parameter of OpenAI's chat completions, and the usual ones of vLLM: honoured, without effect
// on any answer, or refused by its name.
TEST(RoutesTest, EveryChatParameterIsHonouredOrRefusedByName) {
  struct Case {
    const char* member;
    const char* refused;  // param of the 400; "": taken
  };
  constexpr Case kCases[] = {
      {R"("audio":{"voice":"alloy","format":"wav"})", "audio"},
      {R"("frequency_penalty":0.5)", ""},
      {R"("frequency_penalty":3)", "frequency_penalty"},
      {R"("function_call":"auto")", ""},
      {R"("function_call":{"name":"f"})", "function_call"},
      {R"("functions":[])", ""},
      {R"("functions":[{"name":"f"}])", "functions"},
      {R"("logit_bias":{"65":-100})", ""},
      {R"("logit_bias":[65])", "logit_bias"},
      {R"("logprobs":true)", ""},
      {R"("logprobs":1)", "logprobs"},
      {R"("max_completion_tokens":3)", ""},
      {R"("max_tokens":3)", ""},
      {R"("max_tokens":-1)", "max_tokens"},
      {R"("metadata":{"a":"b"})", ""},
      {R"("modalities":["text"])", ""},
      {R"("modalities":["text","audio"])", "modalities"},
      {R"("n":2)", ""},
      {R"("n":9)", "n"},
      {R"("parallel_tool_calls":true)", ""},
      {R"("prediction":{"type":"content","content":"x"})", "prediction"},
      {R"("presence_penalty":-1)", ""},
      {R"("prompt_cache_key":"k")", ""},
      {R"("prompt_cache_retention":"24h")", ""},
      {R"("reasoning_effort":"low")", "reasoning_effort"},
      {R"("response_format":{"type":"text"})", ""},
      {R"("response_format":{"type":"json_object"})", "response_format"},
      {R"("response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{}}})",
       "response_format"},
      {R"("safety_identifier":"s")", ""},
      {R"("seed":7)", ""},
      {R"("seed":"7")", "seed"},
      {R"("service_tier":"auto")", ""},
      {R"("stop":["x"])", ""},
      {R"("stop":[""])", "stop"},
      {R"("store":false)", ""},
      {R"("stream_options":{"include_usage":true})", ""},
      {R"("stream_options":{"include_obfuscation":false})", ""},
      {R"("stream_options":{"include_obfuscation":true})", "stream_options.include_obfuscation"},
      {R"("stream_options":{"continuous_usage_stats":true})",
       "stream_options.continuous_usage_stats"},
      {R"("temperature":0.5)", ""},
      {R"("temperature":2.5)", "temperature"},
      {R"("tool_choice":"none")", ""},
      {R"("tool_choice":"auto")", ""},
      {R"("tool_choice":"required")", "tool_choice"},
      {R"("tools":[])", ""},
      {R"("tools":[{"type":"function","function":{"name":"f"}}])", "tools"},
      {R"("top_logprobs":2)", "top_logprobs"},
      {R"("top_p":0.5)", ""},
      {R"("user":"u")", ""},
      {R"("verbosity":"low")", "verbosity"},
      {R"("web_search_options":{})", "web_search_options"},
      {R"("chat_template_kwargs":{})", ""},
      {R"("chat_template_kwargs":{"enable_thinking":false})",
       "chat_template_kwargs.enable_thinking"},
      {R"("chat_template_kwargs":{"enable_thinking":true})",
       "chat_template_kwargs.enable_thinking"},
      {R"("chat_template_kwargs":{"thinking_budget":1})", "chat_template_kwargs.thinking_budget"},
      {R"("chat_template_kwargs":true)", "chat_template_kwargs"},
      {R"("chat_template":"x")", "chat_template"},
      {R"("add_generation_prompt":false)", "add_generation_prompt"},
      {R"("continue_final_message":true)", "continue_final_message"},
      {R"("guided_json":{})", "guided_json"},
      {R"("structured_outputs":{"regex":"x"})", "structured_outputs"},
      {R"("min_tokens":4)", "min_tokens"},
      {R"("bad_words":["x"])", "bad_words"},
      {R"("include_stop_str_in_output":true)", "include_stop_str_in_output"},
      {R"("skip_special_tokens":false)", "skip_special_tokens"},
      {R"("top_k":4)", ""},
      {R"("min_p":0.1)", ""},
      {R"("ignore_eos":true,"max_tokens":3)", ""},
      {R"("stop_token_ids":[65])", ""},
      {R"("repetition_penalty":1.1)", ""},
  };
  const Started door = started();
  for (const Case& one : kCases) {
    const Got got = post(door, "/v1/chat/completions", chat_body(one.member));
    EXPECT_EQ(got.status, *one.refused == 0 ? 200 : 400) << one.member << got.body;
    EXPECT_EQ(got.error("param"), one.refused) << one.member;
  }
  for (const char* body :
       {R"({"prompt":"a","add_special":true})", R"({"tokens":[1],"raw":true})"}) {
    const bool texts = std::string_view(body).starts_with(R"({"tokens")");
    EXPECT_EQ(post(door, texts ? "/detokenize" : "/tokenize", body).status, 400) << body;
  }
}

// Its client's own bytes; tests/golden/openai/record.py recorded them.
Got replay(const Started& door, const std::string& name) {
  auto bytes =
      base::read_file(std::string(RETORT_SOURCE_DIR) + "/tests/golden/openai/" + name + ".http");
  EXPECT_TRUE(bytes.ok()) << name;
  const size_t kept = bytes->find("keep-alive");
  if (kept != std::string::npos) bytes->replace(kept, 10, "close");
  return ask(door, *bytes);
}

TEST(RoutesTest, AnswersSglangsClient) {
  const Started door = started();
  const json::Value info = replay(door, "sglang_model_info").json();
  EXPECT_EQ(info.find("model_path")->as_string(), "model");

  const json::Value whole = replay(door, "sglang_generate").json();
  EXPECT_EQ(whole.find("text")->as_string(), "One ");
  EXPECT_EQ(json::dump(*whole.find("output_ids")), "[79,110,101,32]");
  const json::Value& meta = *whole.find("meta_info");
  EXPECT_EQ(json::dump(*meta.find("finish_reason")), R"({"type":"length","length":4})");
  EXPECT_EQ(meta.find("prompt_tokens")->as_int(), 24);
  EXPECT_EQ(meta.find("input_token_logprobs")->as_array().size(), 24u);
  EXPECT_EQ(meta.find("output_token_logprobs")->as_array().size(), 4u);
  EXPECT_EQ(json::dump(meta.find("input_token_logprobs")->as_array()[0]), R"([null,84,"T"])");
  EXPECT_EQ(json::dump(meta.find("input_top_logprobs")->as_array()[1]),
            R"([[-0.125,65,"A"],[-2.0,66,"B"]])");

  // Two continuations scored from the fourth token on.
  const json::Value select = replay(door, "sglang_select").json();
  ASSERT_EQ(select.as_array().size(), 2u);
  const json::Value& second = *select.as_array()[1].find("meta_info");
  EXPECT_EQ(second.find("input_token_logprobs")->as_array().size(), 34u - 3);
  EXPECT_EQ(json::dump(second.find("input_token_logprobs")->as_array()[0]), R"([null,32," "])");
  EXPECT_TRUE(second.find("output_token_logprobs")->as_array().empty());
  EXPECT_EQ(second.find("completion_tokens")->as_int(), 0);

  // Each event says all so far.
  const auto events = events_of(replay(door, "sglang_stream").body);
  ASSERT_EQ(events.size(), 5u);
  EXPECT_TRUE(events.back().done());
  EXPECT_EQ(json::parse(events[1].data)->find("text")->as_string(), "On");
  EXPECT_EQ(json::parse(events[3].data)->find("text")->as_string(), "One ");
}

TEST(RoutesTest, SglangsAnswersSayWhatEndedThem) {
  const Started door = started();
  const Got got = post(door, "/generate", R"({"text":["A","B"],"sampling_params":{"n":2}})");
  const json::Value answers = got.json();
  ASSERT_EQ(answers.as_array().size(), 4u) << got.body;
  EXPECT_EQ(json::dump(*answers.as_array()[3].find("meta_info")->find("finish_reason")),
            fmt::format(R"({{"type":"stop","matched":{}}})", int{kEndOfTurn}));
  EXPECT_EQ(answers.as_array()[3].find("output_ids")->as_array().size(), 22u);
  const Got beyond =
      post(door, "/generate", R"({"text":"AB","return_logprob":true,"logprob_start_len":3})");
  EXPECT_EQ(beyond.status, 400);
  EXPECT_EQ(beyond.error("param"), "logprob_start_len");
  EXPECT_EQ(post(door, "/generate", R"({"text":"AB","image_data":"x"})").error("param"),
            "image_data");
}

}  // namespace
}  // namespace retort::serve
