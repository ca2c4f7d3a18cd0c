// Requests of /v1/chat/completions and /v1/completions, read by a server and written by a client.
// Reading is strict: a field that would change the answer and is not supported is an error that
// names it; fields that change nothing (user, metadata, store, service_tier, ...) are taken and
// dropped.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "dialog/message.h"
#include "json/value.h"
#include "openai/error.h"

namespace retort::openai {

constexpr int64_t kChoicesMax = 8;
constexpr int64_t kBestOfMax = 20;           // OpenAI's own limit
constexpr int64_t kTopLogprobsDefault = 20;  // OpenAI's own limit
constexpr int64_t kStopsMax = 8;
constexpr int64_t kMessagesMax = 2048;
constexpr int64_t kPromptsMax = 64;
constexpr int64_t kBiasesMax = 1024;
constexpr int64_t kStopTokensMax = 64;

// What both kinds share. An empty optional is "as the model likes it" and is not written.
struct Generation {
  std::string model = {};
  std::optional<double> temperature = {};         // 0 to 2
  std::optional<double> top_p = {};               // 0 to 1
  std::optional<int64_t> top_k = {};              // 0: all
  std::optional<double> repetition_penalty = {};  // above 0, as vLLM names it
  std::optional<int64_t> max_tokens = {};         // 1 or more; 0 when only a prompt is scored
  std::optional<int64_t> seed = {};
  int64_t n = 1;
  std::vector<std::string> stop = {};
  bool stream = false;
  bool include_usage = false;                    // stream_options: a last piece with the counts
  std::optional<double> min_p = {};              // 0 to 1, as vLLM names it
  std::optional<double> presence_penalty = {};   // -2 to 2
  std::optional<double> frequency_penalty = {};  // -2 to 2
  std::vector<std::pair<int32_t, double>> logit_bias = {};  // token id, -100 to 100
  std::vector<int32_t> stop_token_ids = {};  // these end the answer as well (vLLM's name)
  bool ignore_eos = false;                   // only max_tokens and stop end it (vLLM's name)
};

struct ChatRequest {
  Generation generation = {};
  dialog::Messages messages = {};
  bool logprobs = false;
  int64_t top_logprobs = 0;
  std::optional<int64_t> prompt_logprobs = {};  // alternatives at each token of the prompt (vLLM)
  // chat_template_kwargs.enable_thinking (vLLM, Qwen3): for templates with such a switch.
  std::optional<bool> enable_thinking = {};
};

using Prompt = std::variant<std::string, std::vector<int32_t>>;  // text, or token ids

struct CompletionRequest {
  Generation generation = {};
  std::vector<Prompt> prompts = {};      // one or more, each gets n answers
  std::optional<int64_t> logprobs = {};  // how many alternatives; 0: the chosen token alone
  bool echo = false;
  std::optional<int64_t> prompt_logprobs = {};
  // So many answers are made to a prompt, and the n with the highest log-probability a token given.
  std::optional<int64_t> best_of = {};  // n or more; beyond n not streamed
};

// `top_logprobs_max`: how many alternatives a token may have, which is for a server to say.
Parsed<ChatRequest> parse_chat_request(std::string_view body,
                                       int64_t top_logprobs_max = kTopLogprobsDefault);
Parsed<CompletionRequest> parse_completion_request(std::string_view body,
                                                   int64_t top_logprobs_max = kTopLogprobsDefault);

json::Value print_request(const ChatRequest& request);
json::Value print_request(const CompletionRequest& request);

}  // namespace retort::openai
