#include "serve/seen_internal.h"

namespace retort::serve {
namespace {

constexpr int64_t kPromptTokensSeen = 2048;  // of a prompt of ids; detection reads no more of it

detect::Speaker speaker_of(dialog::Role role) {
  switch (role) {
    case dialog::Role::system:
      return detect::Speaker::system;
    case dialog::Role::assistant:
      return detect::Speaker::assistant;
    case dialog::Role::user:
      break;
  }
  return detect::Speaker::user;
}

detect::Sampling sampling_of(const openai::Generation& generation, bool logprobs) {
  return {.answers = static_cast<int>(generation.n),
          .logprobs = logprobs,
          .temperature = generation.temperature.value_or(1.0),
          .max_tokens = generation.max_tokens.value_or(0)};
}

std::string text_of(const openai::Prompt& prompt, const Backend& backend) {
  if (const auto* text = std::get_if<std::string>(&prompt)) return *text;
  const auto& ids = std::get<std::vector<int32_t>>(prompt);
  const auto size = std::min<int64_t>(std::ssize(ids), kPromptTokensSeen);
  return backend.tokenizer().decode(
      std::vector<tokenizer::TokenId>(ids.begin(), ids.begin() + size));
}

provider::Seen seen_prompts(const std::vector<openai::Prompt>& prompts, const Backend& backend) {
  provider::Seen seen;
  if (!prompts.empty()) {
    seen.turns.emplace_back(detect::Speaker::user, text_of(prompts.front(), backend));
  }
  return seen;
}

}  // namespace

provider::Seen seen_of(const openai::ChatRequest& request) {
  provider::Seen seen;
  for (const auto& message : request.messages) {
    seen.turns.emplace_back(speaker_of(message.role), message.content);
  }
  seen.sampling =
      sampling_of(request.generation, request.logprobs || request.prompt_logprobs.has_value());
  return seen;
}

provider::Seen seen_of(const openai::CompletionRequest& request, const Backend& backend) {
  provider::Seen seen = seen_prompts(request.prompts, backend);
  seen.sampling =
      sampling_of(request.generation, request.logprobs || request.prompt_logprobs.has_value());
  return seen;
}

provider::Seen seen_of(const openai::GenerateRequest& request, const Backend& backend) {
  provider::Seen seen = seen_prompts(request.prompts, backend);
  seen.sampling = sampling_of(request.generation, request.logprobs);
  return seen;
}

}  // namespace retort::serve
