// Bodies of requests to every route that makes the model work, up to what the engine would be asked
// for: whatever they say, it stays within the bounds of the door and of the model.
#include "serve/plan_internal.h"
#include "serve/testing_internal.h"
#include "target.h"

namespace retort::serve {
namespace {

void check(const openai::Parsed<Plan>& plan, const Backend& backend, const Options& options) {
  if (!plan) {
    if (plan.error().status != 400 || plan.error().message.empty()) __builtin_trap();
    return;
  }
  const int64_t choices = std::ssize(plan->choices);
  if (choices < 1 || choices > options.max_answers) __builtin_trap();
  int64_t tokens = 0;
  for (const ChoicePlan& choice : plan->choices) {
    const int64_t prompt = std::ssize(choice.request.prompt);
    const int64_t answer = choice.request.max_tokens;
    if (prompt < 1 || answer < 0 || prompt + answer > backend.context_length()) __builtin_trap();
    if (answer == 0 && choice.request.prompt_logprobs < 0) __builtin_trap();
    tokens += prompt + answer;
  }
  if (tokens > options.max_request_tokens) __builtin_trap();
}

void check_all(std::string_view body) {
  static const ScriptedBackend backends[] = {ScriptedBackend({.chat_template = "qwen3"}),
                                             ScriptedBackend({.has_chat = false})};
  const Options options;
  for (const ScriptedBackend& backend : backends) {
    if (const auto request = openai::parse_chat_request(body, options.max_logprobs)) {
      check(plan_chat(*request, backend, options), backend, options);
    }
    if (const auto request = openai::parse_completion_request(body, options.max_logprobs)) {
      check(plan_completion(*request, backend, options), backend, options);
    }
    if (const auto request = openai::parse_generate_request(body, options.max_logprobs)) {
      check(plan_generate(*request, backend, options), backend, options);
    }
  }
}

}  // namespace
}  // namespace retort::serve

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  retort::serve::check_all(retort::fuzz::text_of(data, size));
  return 0;
}
