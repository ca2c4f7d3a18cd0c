#include <fmt/core.h>

#include <algorithm>

#include "base/random.h"
#include "serve/plan_internal.h"

namespace retort::serve {
namespace {

using openai::ApiError;
using openai::Generation;
using openai::make_error;
using openai::Parsed;
using tokenizer::TokenId;

constexpr int64_t kCompletionTokensDefault = 16;  // as OpenAI's older API has it

// What the prompts of one request have in common, and what is still to be shared out.
struct Draft {
  const Generation& generation;
  const Backend& backend;
  const Options& options;
  Plan plan;
  engine::Request common;  // everything but prompt, max_tokens and seed
  int64_t tokens = 0;      // asked for so far, prompts and answers
};

void add_once(std::vector<TokenId>& ids, TokenId id) {
  if (id >= 0 && std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
}

// Every token that ends a turn or a text in this vocabulary: a base model ends with one, a chat
// model with another, and neither prints as text.
std::vector<TokenId> ends_of(const Backend& backend) {
  const tokenizer::Tokenizer& tokenizer = backend.tokenizer();
  std::vector<TokenId> ids;
  add_once(ids, tokenizer.vocabulary().eos);
  if (backend.chat()) add_once(ids, backend.chat()->stop_token());
  add_once(ids, tokenizer.special("<|endoftext|>"));
  return ids;
}

std::optional<ApiError> check_ids(const Generation& generation, const Backend& backend) {
  const int64_t size = backend.tokenizer().size();
  for (const auto& [id, bias] : generation.logit_bias) {
    if (id >= size) {
      return make_error(400, fmt::format("logit_bias names token {}; the model has {}", id, size),
                        "logit_bias");
    }
  }
  for (const int32_t id : generation.stop_token_ids) {
    if (id >= size) {
      return make_error(400,
                        fmt::format("stop_token_ids names token {}; the model has {}", id, size),
                        "stop_token_ids");
    }
  }
  return std::nullopt;
}

engine::Sampling sampling_of(const Generation& generation) {
  engine::Sampling out;
  out.temperature = generation.temperature.value_or(1.0);
  out.top_p = generation.top_p.value_or(1.0);
  out.top_k = generation.top_k.value_or(0);
  out.min_p = generation.min_p.value_or(0);
  out.repetition_penalty = generation.repetition_penalty.value_or(1.0);
  out.presence_penalty = generation.presence_penalty.value_or(0);
  out.frequency_penalty = generation.frequency_penalty.value_or(0);
  for (const auto& [id, bias] : generation.logit_bias) {
    out.logit_bias.emplace_back(id, static_cast<float>(bias));
  }
  return out;
}

// The n answers to one prompt differ; prompts sent together get the answers that they get alone.
uint64_t seed_of(const Generation& generation, int64_t answer) {
  uint64_t seed = 0;
  if (!generation.seed) {
    base::secure_random(&seed, sizeof seed);
    return seed;
  }
  seed = static_cast<uint64_t>(*generation.seed);
  return answer == 0 ? seed : base::mix64(seed ^ base::mix64(static_cast<uint64_t>(answer)));
}

ApiError too_long(const Draft& draft, int64_t prompt, int64_t answer) {
  return make_error(
      400,
      fmt::format("This model's maximum context length is {} tokens. However, you requested {} "
                  "tokens ({} in the {}, {} in the completion). Please reduce the length of "
                  "either.",
                  draft.backend.context_length(), prompt + answer, prompt,
                  draft.plan.chat ? "messages" : "prompt", answer),
      draft.plan.chat ? "messages" : "prompt", "context_length_exceeded");
}

// How many tokens the answer may have.
Parsed<int64_t> answer_tokens(const Draft& draft, int64_t prompt) {
  const int64_t room = draft.backend.context_length() - prompt;
  const auto& wanted = draft.generation.max_tokens;
  if (wanted) {
    if (*wanted > room) {
      // A sum of client's numbers could overflow; what is beyond any context is all the same.
      return too_long(draft, prompt, std::min(*wanted, int64_t{1} << 40));
    }
    return *wanted;
  }
  if (room < 1) return too_long(draft, prompt, 1);
  return draft.plan.chat ? room : std::min(room, kCompletionTokensDefault);
}

std::optional<ApiError> add_prompt(Draft& draft, std::vector<TokenId> prompt, std::string echo) {
  const int64_t length = std::ssize(prompt);
  const auto max_tokens = answer_tokens(draft, length);
  if (!max_tokens) return max_tokens.error();
  const int64_t answers = draft.plan.answers_per_prompt;
  draft.tokens += answers * (length + *max_tokens);
  if (draft.tokens > draft.options.max_request_tokens) {
    return make_error(400,
                      fmt::format("one request may ask for {} tokens in all (prompts and answers); "
                                  "send several",
                                  draft.options.max_request_tokens),
                      "max_tokens");
  }
  for (int64_t answer = 0; answer < answers; ++answer) {
    ChoicePlan choice{draft.common, echo};
    choice.request.prompt = prompt;
    choice.request.max_tokens = *max_tokens;
    // An echo alone computes nothing; the engine wants to be asked for something.
    if (*max_tokens == 0) {
      choice.request.prompt_logprobs = std::max(choice.request.prompt_logprobs, int64_t{0});
    }
    choice.request.sampling.seed = seed_of(draft.generation, answer);
    draft.plan.choices.push_back(std::move(choice));
  }
  return std::nullopt;
}

struct Answers {
  int64_t prompts = 1;
  int64_t each = 1;  // made to a prompt
};

// The parts that chat and completions share.
Parsed<Draft> begin(const Generation& generation, const Backend& backend, const Options& options,
                    const Answers& answers) {
  if (auto error = check_ids(generation, backend)) return *error;
  if (answers.prompts * answers.each > options.max_answers) {
    return make_error(400,
                      fmt::format("one request may ask for {} answers in all (prompts times n, or "
                                  "times best_of)",
                                  options.max_answers),
                      "n");
  }
  Draft draft{generation, backend, options, {}, {}};
  draft.plan.stream = generation.stream;
  draft.plan.include_usage = generation.include_usage;
  draft.plan.answers_per_prompt = answers.each;
  draft.plan.returned_per_prompt = generation.n;
  // Candidates are compared by the log-probabilities of their tokens.
  draft.common.logprobs = answers.each > generation.n;
  draft.common.sampling = sampling_of(generation);
  draft.common.stop = generation.stop;
  if (!generation.ignore_eos) draft.common.stop_tokens = ends_of(backend);
  for (const int32_t id : generation.stop_token_ids) add_once(draft.common.stop_tokens, id);
  return draft;
}

Parsed<Draft> ask_prompt_logprobs(Draft draft, std::optional<int64_t> wanted) {
  if (!wanted) return draft;
  if (draft.plan.stream) {
    return make_error(400, "prompt_logprobs are not streamed; ask without stream",
                      "prompt_logprobs");
  }
  draft.plan.prompt_logprobs = true;
  draft.common.prompt_logprobs = std::max(draft.common.prompt_logprobs, *wanted);
  return draft;
}

// Ids of a prompt given as text or as ids.
Parsed<std::vector<TokenId>> prompt_ids(const openai::Prompt& prompt, const Backend& backend) {
  const tokenizer::Tokenizer& tokenizer = backend.tokenizer();
  if (const auto* ids = std::get_if<std::vector<int32_t>>(&prompt)) {
    for (const int32_t id : *ids) {
      if (id >= tokenizer.size()) {
        return make_error(
            400, fmt::format("prompt holds token {}; the model has {}", id, tokenizer.size()),
            "prompt");
      }
    }
    return *ids;
  }
  std::vector<TokenId> ids = tokenizer.encode(std::get<std::string>(prompt));
  const auto& vocabulary = tokenizer.vocabulary();
  if (vocabulary.add_bos && vocabulary.bos >= 0) ids.insert(ids.begin(), vocabulary.bos);
  if (ids.empty()) return make_error(400, "the prompt is empty", "prompt");
  return ids;
}

std::string echo_of(const openai::Prompt& prompt, const Backend& backend) {
  if (const auto* text = std::get_if<std::string>(&prompt)) return *text;
  return backend.tokenizer().decode(std::get<std::vector<int32_t>>(prompt));
}

}  // namespace

Parsed<std::vector<TokenId>> rendered(const openai::ChatRequest& request, const Backend& backend) {
  if (!backend.chat()) {
    return make_error(400,
                      "this model has no chat template that is known here (" +
                          backend.chat().error().message + "); use /v1/completions",
                      "messages", "unsupported_operation");
  }
  if (request.enable_thinking && !backend.chat()->can_skip_thoughts()) {
    return make_error(400, "this model's chat template has no switch for thinking",
                      "chat_template_kwargs.enable_thinking", "unsupported_parameter");
  }
  auto prompt =
      request.enable_thinking.value_or(true)
          ? backend.chat()->render(backend.tokenizer(), request.messages, /*open_assistant=*/true)
          : backend.chat()->render_without_thoughts(backend.tokenizer(), request.messages);
  if (!prompt) {
    return make_error(400, prompt.error().message + "; " + prompt.error().hint, "messages");
  }
  return std::move(prompt->ids);
}

Parsed<Plan> plan_chat(const openai::ChatRequest& request, const Backend& backend,
                       const Options& options) {
  auto begun = begin(request.generation, backend, options, {1, request.generation.n});
  if (!begun) return begun.error();
  begun->plan.chat = true;
  begun->plan.logprobs = request.logprobs;
  begun->common.logprobs = request.logprobs;
  begun->common.top_logprobs = request.top_logprobs;
  auto draft = ask_prompt_logprobs(std::move(*begun), request.prompt_logprobs);
  if (!draft) return draft.error();
  auto prompt = rendered(request, backend);
  if (!prompt) return prompt.error();
  if (auto error = add_prompt(*draft, std::move(*prompt), "")) return *error;
  return std::move(draft->plan);
}

Parsed<Plan> plan_completion(const openai::CompletionRequest& request, const Backend& backend,
                             const Options& options) {
  auto begun = begin(request.generation, backend, options,
                     {std::ssize(request.prompts), request.best_of.value_or(request.generation.n)});
  if (!begun) return begun.error();
  begun->plan.logprobs = request.logprobs.has_value();
  begun->common.logprobs = begun->common.logprobs || request.logprobs.has_value();
  begun->common.top_logprobs = request.logprobs.value_or(0);
  if (request.echo && request.logprobs) {
    begun->plan.echo_logprobs = true;
    begun->plan.echo_top = *request.logprobs;
    begun->common.prompt_logprobs = *request.logprobs;
  }
  auto draft = ask_prompt_logprobs(std::move(*begun), request.prompt_logprobs);
  if (!draft) return draft.error();
  for (const openai::Prompt& prompt : request.prompts) {
    auto ids = prompt_ids(prompt, backend);
    if (!ids) return ids.error();
    const std::string echo = request.echo ? echo_of(prompt, backend) : "";
    if (auto error = add_prompt(*draft, std::move(*ids), echo)) return *error;
  }
  return std::move(draft->plan);
}

Parsed<Plan> plan_generate(const openai::GenerateRequest& request, const Backend& backend,
                           const Options& options) {
  auto draft = begin(request.generation, backend, options,
                     {std::ssize(request.prompts), request.generation.n});
  if (!draft) return draft.error();
  const bool scores_prompt = request.logprob_start >= 0;
  draft->plan.generate = {request.many || request.generation.n > 1, request.logprob_start,
                          request.top_logprobs, request.text_in_logprobs};
  draft->plan.logprobs = draft->common.logprobs = request.logprobs;
  draft->common.top_logprobs = request.top_logprobs;
  draft->plan.echo_logprobs = scores_prompt;
  draft->plan.echo_top = request.top_logprobs;
  if (scores_prompt) draft->common.prompt_logprobs = request.top_logprobs;
  for (const openai::Prompt& prompt : request.prompts) {
    auto ids = prompt_ids(prompt, backend);
    if (!ids) return ids.error();
    if (request.logprob_start > std::ssize(*ids)) {
      return make_error(400,
                        fmt::format("logprob_start_len is {} and a prompt has {} tokens",
                                    request.logprob_start, ids->size()),
                        "logprob_start_len");
    }
    if (auto error = add_prompt(*draft, std::move(*ids), "")) return *error;
  }
  return std::move(draft->plan);
}

}  // namespace retort::serve
