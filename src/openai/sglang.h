// SGLang's own route /generate, for programs that score with its client: requests as they are read,
// answers as they are written. The shapes are those of SGLang 0.5's io_struct.py and
// tokenizer_manager.py. Reading is as strict as openai/request.h says.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "openai/answer.h"
#include "openai/request.h"

namespace retort::openai {

struct GenerateRequest {
  Generation generation = {};  // without a model's name: the route knows one model
  std::vector<Prompt> prompts = {};
  bool many = false;  // the prompts came as a list: then so do the answers
  bool logprobs = false;
  int64_t logprob_start = -1;  // the prompt's tokens are scored behind this one; -1: none
  int64_t top_logprobs = 0;
  bool text_in_logprobs = false;  // beside each token's id
};

Parsed<GenerateRequest> parse_generate_request(std::string_view body,
                                               int64_t top_logprobs_max = kTopLogprobsDefault);

struct GenerateAnswer {
  std::string id = {};
  std::string text = {};
  std::vector<int32_t> output_ids = {};  // a stop token among them
  std::string finish_reason = {};        // "stop", "length"; "" while the answer goes on
  int32_t stop_token = -1;               // what ended it: a token, or a string
  std::string stop_string = {};
  Usage usage = {};
  int64_t index = -1;  // of a streamed answer among several; -1: not said
  // With log-probabilities: those of the prompt from the first wanted token on, whose own is NaN,
  // and those of the output.
  bool logprobs = false;
  int64_t top_logprobs = 0;
  bool text_in_logprobs = false;
  std::vector<TokenLogprob> input_tokens = {};
  std::vector<TokenLogprob> output_tokens = {};
};

std::string print_generate_answer(const GenerateAnswer& answer);
std::string print_generate_answers(const std::vector<GenerateAnswer>& answers);

}  // namespace retort::openai
