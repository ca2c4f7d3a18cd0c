// What a door needs to know of a request that another server answers, and the body for that server.
// Reading is strict, as at the door's own engine: a field that is not known is an error that names
// it, since a field nobody looked at may cost money that nobody reserved. Pure.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json/value.h"
#include "openai/error.h"

namespace retort::relay {

constexpr int64_t kBytesPerToken = 4;  // of usual text

enum class Kind { chat, completion };

struct Bounds {
  int64_t max_tokens = 4096;  // of one answer, and what is asked for where a request names none
  int64_t max_answers = 128;  // prompts times n
  int64_t max_request_tokens = int64_t{1} << 20;  // of all prompts and answers
};

struct Asked {
  std::string body{};  // for the upstream: always with usage, the model by the upstream's name
  bool stream = false;
  bool usage_wanted = false;  // by the client; else the piece with the counts is kept back
  int64_t answers = 1;
  // The upstream's tokenizer is not here. A token has a byte or more, so bytes are what the prompt
  // costs at most; a quarter of them is what it is likely to cost.
  int64_t input_tokens_most = 0, input_tokens_likely = 0;
  int64_t output_tokens_most = 0;                            // of all answers together
  std::vector<std::pair<std::string, std::string>> turns{};  // role, text
  bool logprobs = false, tools = false;
  double temperature = 1;
  int64_t max_tokens = 0;  // as the client gave it; 0 for not at all
};

// A body as JSON; 400 for what is none, or no object.
openai::Parsed<json::Value> parse_request(std::string_view body);

// The model that a request names; null where it names none.
const std::string* model_of(const json::Value& request);

// `model`: by the upstream's name. 400 for what is wrong or not text.
openai::Parsed<Asked> read_request(Kind kind, json::Value request, const std::string& model,
                                   const Bounds& bounds);

}  // namespace retort::relay
