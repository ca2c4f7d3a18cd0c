#include "openai/sglang.h"

#include <gtest/gtest.h>

#include <limits>

#include "openai/testing_internal.h"

namespace retort::openai {
namespace {

using testing::recorded_body;

// The member that a request with these beside its text is refused for; "" when it is taken.
std::string refused(const std::string& more, const std::string& text = R"("text":"a")") {
  const auto parsed = parse_generate_request("{" + text + (more.empty() ? "" : "," + more) + "}");
  return parsed ? "" : parsed.error().param;
}

TEST(SglangTest, ReadsWhatItsClientSends) {
  const auto generate = parse_generate_request(recorded_body("sglang_generate"));
  ASSERT_TRUE(generate.ok()) << generate.error().message;
  EXPECT_EQ(generate->prompts, std::vector<Prompt>{std::string("The capital of France is")});
  EXPECT_FALSE(generate->many);
  EXPECT_EQ(generate->generation.max_tokens, 4);
  EXPECT_EQ(generate->generation.temperature, 0);
  EXPECT_EQ(generate->generation.top_k, 0);
  EXPECT_EQ(generate->generation.stop, std::vector<std::string>{"\n"});
  EXPECT_TRUE(generate->logprobs);
  EXPECT_EQ(generate->logprob_start, 0);
  EXPECT_EQ(generate->top_logprobs, 2);
  EXPECT_TRUE(generate->text_in_logprobs);

  const auto select = parse_generate_request(recorded_body("sglang_select"));
  ASSERT_TRUE(select.ok()) << select.error().message;
  EXPECT_TRUE(select->many);
  EXPECT_EQ(select->prompts.size(), 2u);
  EXPECT_EQ(select->generation.max_tokens, 0);
  EXPECT_EQ(select->logprob_start, 3);

  const auto stream = parse_generate_request(recorded_body("sglang_stream"));
  ASSERT_TRUE(stream.ok()) << stream.error().message;
  EXPECT_TRUE(stream->generation.stream);
  EXPECT_FALSE(stream->logprobs);
  EXPECT_EQ(stream->generation.top_p, 0.9);
}

TEST(SglangTest, PromptsAreTextsOrIdsOneOrMany) {
  const auto ids = parse_generate_request(R"({"input_ids":[1,2]})");
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(ids->prompts, std::vector<Prompt>{(std::vector<int32_t>{1, 2})});
  EXPECT_FALSE(ids->many);
  EXPECT_EQ(ids->generation.max_tokens, 128);
  EXPECT_TRUE(parse_generate_request(R"({"input_ids":[[1,2]]})")->many);
  EXPECT_TRUE(parse_generate_request(R"({"text":["a"]})")->many);
  for (const char* text :
       {R"("text":3)", R"("text":[])", R"("text":[1,2])", R"("text":["a",[1]])"}) {
    EXPECT_EQ(refused("", text), "text") << text;
  }
  EXPECT_EQ(refused("", R"("input_ids":[])"), "input_ids");
  EXPECT_EQ(refused("", R"("input_ids":["a"])"), "input_ids");
  EXPECT_EQ(refused(R"("input_ids":[1])"), "text") << "both";
}

TEST(SglangTest, WhatIsNotDoneIsRefusedByName) {
  EXPECT_EQ(refused(R"("rid":"x","log_metrics":true,"lora_path":null)"), "");
  for (const char* name : {"regex", "json_schema", "ebnf", "stop_regex", "structural_tag",
                           "custom_params", "beam_width", "max_tokens", "seed"}) {
    EXPECT_EQ(refused(std::string(R"("sampling_params":{")") + name + R"(":"x"})"), name);
  }
  EXPECT_EQ(refused(R"("sampling_params":{"min_new_tokens":1})"), "min_new_tokens");
  EXPECT_EQ(refused(R"("sampling_params":{"skip_special_tokens":false})"), "skip_special_tokens");
  EXPECT_EQ(refused(R"("sampling_params":{"no_stop_trim":true})"), "no_stop_trim");
  EXPECT_EQ(refused(R"("sampling_params":[{}])"), "sampling_params");
  for (const char* name : {"image_data", "lora_path", "input_embeds", "token_ids_logprob",
                           "return_hidden_states", "session_params", "model"}) {
    EXPECT_EQ(refused(std::string("\"") + name + R"(":"x")"), name);
  }
  EXPECT_EQ(refused(R"("return_logprob":true,"stream":true)"), "return_logprob");
  EXPECT_EQ(refused(R"("return_logprob":[true])"), "return_logprob");
  EXPECT_EQ(refused(R"("top_logprobs_num":21)"), "top_logprobs_num");
  EXPECT_EQ(refused(R"("logprob_start_len":-2)"), "logprob_start_len");
}

TEST(SglangTest, AnswersHaveSglangsShape) {
  GenerateAnswer answer;
  answer.id = "i";
  answer.text = "C";
  answer.output_ids = {67, 2};
  answer.finish_reason = "stop";
  answer.stop_token = 2;
  answer.usage = {2, 2, 1};
  EXPECT_EQ(print_generate_answer(answer),
            R"({"text":"C","output_ids":[67,2],"meta_info":{"id":"i","finish_reason":)"
            R"({"type":"stop","matched":2},"prompt_tokens":2,"completion_tokens":2,)"
            R"("cached_tokens":1}})");
  answer.logprobs = true;
  answer.top_logprobs = 1;
  answer.text_in_logprobs = true;
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  answer.input_tokens = {{"A", kNone, {}, 65}, {"\xe2\x80", -0.5, {{"X", -0.25, {}, 88}}, 66}};
  answer.output_tokens = {{"C", -1.0, {{"D", -0.5, {}, 68}}, 67}};
  answer.finish_reason = "length";
  const std::string printed = print_generate_answer(answer);
  for (
      const char* part :
      {R"("finish_reason":{"type":"length","length":2})",
       R"("input_token_logprobs":[[null,65,"A"],[-0.5,66,"�"]])",
       R"("output_token_logprobs":[[-1.0,67,"C"]],"output_token_logprobs_length":1)",
       R"("input_top_logprobs":[null,[[-0.25,88,"X"]]],"output_top_logprobs":[[[-0.5,68,"D"]]])"}) {
    EXPECT_NE(printed.find(part), std::string::npos) << part << "\n" << printed;
  }
  answer.text_in_logprobs = false;
  answer.finish_reason = "";
  EXPECT_NE(print_generate_answers({answer}).find("[[null,65,null],[-0.5,66,null]]"),
            std::string::npos);
  EXPECT_NE(print_generate_answers({answer}).find(R"("finish_reason":null)"), std::string::npos);
}

}  // namespace
}  // namespace retort::openai
