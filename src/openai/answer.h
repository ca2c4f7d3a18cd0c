// Answers of /v1/chat/completions and /v1/completions, whole and in streamed pieces, written by a
// server and read by a client. Reading trusts nothing: what is not as it should be is an error, and
// what a teacher may leave out (usage, choices, logprobs) is empty.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/value.h"
#include "openai/error.h"

namespace retort::openai {

struct Usage {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  int64_t cached_tokens = 0;  // of the prompt; printed under prompt_tokens_details
  int64_t total_tokens() const { return prompt_tokens + completion_tokens; }
  bool operator==(const Usage&) const = default;
};

// A token's bytes and natural log-probability.
struct TokenLogprob {
  std::string bytes = {};  // exact where the peer sent them, else the token's text
  double logprob = 0;
  std::vector<TokenLogprob> top = {};  // alternatives, most likely first; they have none themselves
  int32_t id = -1;                     // of the server's vocabulary; OpenAI's shapes do not have it
  bool operator==(const TokenLogprob&) const = default;
};

// A token of the prompt with its rank among all tokens (0: not known), in vLLM's prompt_logprobs.
struct PromptLogprob {
  int32_t id = 0;
  std::string bytes = {};
  double logprob = 0;
  int64_t rank = 0;
};
// One list a token of the prompt, its own entry first; the first token's list is empty.
using PromptLogprobs = std::vector<std::vector<PromptLogprob>>;

struct ChatChoice {
  int64_t index = 0;
  bool opens = false;                       // a piece that carries the role
  std::optional<std::string> content = {};  // of a piece: what is new
  std::optional<std::string> refusal = {};
  bool tool_calls = false;         // the peer called tools instead of answering
  std::string finish_reason = {};  // "" while the answer goes on
  std::optional<std::vector<TokenLogprob>> logprobs = {};
};

struct ChatAnswer {
  std::string id = {};
  std::string model = {};  // as the peer names what answered
  int64_t created = 0;     // Unix seconds
  std::vector<ChatChoice> choices = {};
  std::optional<PromptLogprobs> prompt_logprobs = {};  // printed, not read
  std::optional<Usage> usage = {};
  std::optional<ApiError> error = {};  // an error object inside a 200; nothing else is then set
};

// The older shape of log-probabilities: parallel lists.
struct CompletionLogprobs {
  std::vector<std::string> tokens = {};
  std::vector<std::optional<double>> token_logprobs = {};  // none for a first echoed token
  std::vector<std::vector<std::pair<std::string, double>>> top_logprobs = {};
  std::vector<int64_t> text_offset = {};  // characters from the beginning of `text`
};

struct CompletionChoice {
  int64_t index = 0;
  std::string text = {};
  std::string finish_reason = {};
  std::optional<CompletionLogprobs> logprobs = {};
  std::optional<PromptLogprobs> prompt_logprobs = {};  // printed, not read
};

struct CompletionAnswer {
  std::string id = {};
  std::string model = {};
  int64_t created = 0;
  std::vector<CompletionChoice> choices = {};
  std::optional<Usage> usage = {};
  std::optional<ApiError> error = {};
};

std::string print_chat_answer(const ChatAnswer& answer);
// A piece of a stream. With `usage_follows` every piece says "usage": null, as OpenAI's do when the
// request asked for the counts.
std::string print_chat_piece(const ChatAnswer& piece, bool usage_follows);
std::string print_completion(const CompletionAnswer& answer, bool usage_follows = false);

Result<ChatAnswer> parse_chat_answer(std::string_view body);
Result<ChatAnswer> parse_chat_piece(std::string_view data);
// Of one element of a chat answer's "choices"; none where the peer sent none.
Result<std::optional<std::vector<TokenLogprob>>> parse_chat_logprobs(const json::Value& choice);
Result<CompletionAnswer> parse_completion(std::string_view body);

// How a token is spelled in the older log-probabilities: its text, or "bytes:\xe2\x80" when it ends
// inside a character.
std::string completion_token_text(std::string_view bytes);

struct ModelCard {
  std::string id = {};
  int64_t created = 0;
  std::string owned_by = "retort";
};

std::string print_model(const ModelCard& model);
std::string print_models(const std::vector<ModelCard>& models);
// The ids of /v1/models.
Result<std::vector<std::string>> parse_models(std::string_view body);

}  // namespace retort::openai
