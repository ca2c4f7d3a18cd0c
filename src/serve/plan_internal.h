// A request of the wire in the engine's words: one engine request an answer, checked against what
// the model and the door can do, so that nothing is refused after the first byte.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "openai/error.h"
#include "openai/request.h"
#include "openai/sglang.h"
#include "provider/provider.h"
#include "serve/backend.h"
#include "serve/options.h"

namespace retort::serve {

// One answer to come (a choice, in OpenAI's word).
struct ChoicePlan {
  engine::Request request;  // without its on_event
  std::string echo;         // goes before the answer's text
};

// What SGLang's /generate asks beyond OpenAI's routes.
struct GeneratePlan {
  bool many = false;
  int64_t logprob_start = -1;
  int64_t top_logprobs = 0;
  bool text_in_logprobs = false;
};

struct Plan {
  bool chat = false;
  std::optional<GeneratePlan> generate = {};
  bool stream = false;
  bool include_usage = false;
  bool logprobs = false;         // of the answers' tokens
  bool echo_logprobs = false;    // of the prompts' tokens, before those of the answers
  int64_t echo_top = 0;          // with so many alternatives
  bool prompt_logprobs = false;  // of the prompts' tokens, in vLLM's own field
  int64_t answers_per_prompt = 1;
  int64_t returned_per_prompt = 1;  // of them, those with the highest log-probability a token
  std::vector<ChoicePlan> choices;  // those of the first prompt, then those of the second, ...
  provider::Seen seen = {};         // for a door with accounts
};

openai::Parsed<Plan> plan_chat(const openai::ChatRequest& request, const Backend& backend,
                               const Options& options);
openai::Parsed<Plan> plan_completion(const openai::CompletionRequest& request,
                                     const Backend& backend, const Options& options);

openai::Parsed<Plan> plan_generate(const openai::GenerateRequest& request, const Backend& backend,
                                   const Options& options);

// The ids of a conversation with an open answer; 400 for what the chat template does not allow.
openai::Parsed<std::vector<tokenizer::TokenId>> rendered(const openai::ChatRequest& request,
                                                         const Backend& backend);

}  // namespace retort::serve
