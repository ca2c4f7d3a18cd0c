#include <fmt/core.h>

#include <cmath>

#include "engine/validate_internal.h"

namespace retort::engine {
namespace {

Error refuse(std::string message, const char* field) {
  return base::bad_input(std::move(message), field);
}

Result<void> validate_sampling(const Sampling& s, int64_t vocab) {
  const auto within = [](double value, double low, double high) {
    return std::isfinite(value) && value >= low && value <= high;
  };
  if (!within(s.temperature, 0, 100)) return refuse("it must be from 0 to 100", "temperature");
  if (!within(s.top_p, 0, 1)) return refuse("it must be from 0 to 1", "top_p");
  if (!within(s.min_p, 0, 1)) return refuse("it must be from 0 to 1", "min_p");
  if (s.top_k < 0) return refuse("it must not be negative", "top_k");
  if (!within(s.repetition_penalty, 1e-6, 1e6)) {
    return refuse("it must be above 0", "repetition_penalty");
  }
  if (!within(s.presence_penalty, -100, 100)) {
    return refuse("it must be from -100 to 100", "presence_penalty");
  }
  if (!within(s.frequency_penalty, -100, 100)) {
    return refuse("it must be from -100 to 100", "frequency_penalty");
  }
  for (const auto& [id, bias] : s.logit_bias) {
    if (id < 0 || id >= vocab || !within(static_cast<double>(bias), -1e4, 1e4)) {
      return refuse(fmt::format("token {} with bias {} is not possible", id, bias), "logit_bias");
    }
  }
  return {};
}

}  // namespace

Result<void> validate(const Request& request, const RequestLimits& limits) {
  const auto prompt = static_cast<int64_t>(request.prompt.size());
  if (prompt == 0) return refuse("it is empty", "prompt");
  if (request.max_tokens < 0) return refuse("it must not be negative", "max_tokens");
  if (request.max_tokens == 0 && request.prompt_logprobs < 0) {
    return refuse("0 tokens are asked for, and no scores of the prompt", "max_tokens");
  }
  if (prompt > limits.context_length || request.max_tokens > limits.context_length - prompt) {
    return refuse(fmt::format("{} tokens and {} more do not fit the context of {}", prompt,
                              request.max_tokens, limits.context_length),
                  "prompt");
  }
  for (const tokenizer::TokenId id : request.prompt) {
    if (id < 0 || id >= limits.vocab) {
      return refuse(fmt::format("token {} is outside the vocabulary of {}", id, limits.vocab),
                    "prompt");
    }
  }
  if (request.adapter < -1 || request.adapter >= limits.adapters) {
    return refuse(fmt::format("there is no adapter {}", request.adapter), "adapter");
  }
  const auto logprobs = [](int64_t value) { return value >= 0 && value <= kTopLogprobsMax; };
  if (!logprobs(request.top_logprobs)) return refuse("too many or negative", "top_logprobs");
  if (request.prompt_logprobs != -1 && !logprobs(request.prompt_logprobs)) {
    return refuse("too many or negative", "prompt_logprobs");
  }
  return validate_sampling(request.sampling, limits.vocab);
}

}  // namespace retort::engine
