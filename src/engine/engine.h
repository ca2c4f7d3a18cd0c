// Runs a model for many requests at once: requests join and leave at any step, prompts that begin
// alike share the computed prefix. An answer is a function of (weights, prompt, options): it does
// not depend on what else is in flight. Threads: every public function may be called from any
// thread; callbacks run on the engine's one compute thread and must not block.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/turns.h"
#include "model/weights.h"
#include "tokenizer/chat.h"
#include "tokenizer/tokenizer.h"

namespace retort::engine {

struct Sampling {
  double temperature = 1.0;  // 0: the most likely token
  double top_p = 1.0;
  int64_t top_k = 0;  // 0: all
  double min_p = 0;   // drops tokens below min_p times the likeliest one's probability
  double repetition_penalty =
      1.0;                       // divides (or multiplies, below zero) logits of generated tokens
  double presence_penalty = 0;   // taken once from the logit of every generated token
  double frequency_penalty = 0;  // taken once a time that it was generated
  std::vector<std::pair<tokenizer::TokenId, float>> logit_bias = {};  // added to logits
  uint64_t seed = 0;                                                  // same seed, same answer
};

inline constexpr int64_t kTopLogprobsMax = 1024;

struct TokenProbability {
  tokenizer::TokenId id = -1;
  float logprob = 0;  // natural log, of the raw distribution (temperature 1, no penalties)
  int64_t rank = 0;   // among all tokens: 1 is the likeliest, of equals the lower id; 0: not known
};

// One piece of an answer. `text` ends at a UTF-8 border and never contains a stop string or the
// beginning of one that may still complete; a token may therefore come with no text yet.
struct Event {
  std::vector<tokenizer::TokenId> tokens;  // new since the last event
  // When logprobs were asked: one a token, and one more of the stop token that ended the answer,
  // which is a choice of the model's as every other though no token of the answer.
  std::vector<TokenProbability> chosen;
  std::vector<std::vector<TokenProbability>> top;  // top_logprobs each, most likely first
  std::string text;
  bool done = false;
  std::string
      finish_reason;  // at the end: "stop" or "length", "error" with `error` set, "cancelled"
  std::string error;
  // What ended an answer whose reason is "stop": a stop token, or a stop string.
  tokenizer::TokenId stop_token = -1;
  std::string stop_string;
  // With Request::prompt_logprobs, in the first event: one a token of the prompt. The first token
  // has no context: its logprob is NaN and its alternatives are empty.
  std::vector<TokenProbability> prompt_chosen;
  std::vector<std::vector<TokenProbability>> prompt_top;
  int64_t prompt_tokens = 0;  // at the end
  int64_t generated_tokens = 0;
  int64_t cached_tokens = 0;  // of the prompt, found in the prefix cache
};

struct Request {
  std::vector<tokenizer::TokenId> prompt;  // 1 or more
  int64_t max_tokens =
      256;  // prompt + max_tokens must fit context_length(); 0 only scores the prompt
  Sampling sampling;
  std::vector<std::string> stop;                // strings that end the answer, not part of it
  std::vector<tokenizer::TokenId> stop_tokens;  // ids that end the answer, not part of it
  bool logprobs = false;
  int64_t top_logprobs = 0;      // 0 to kTopLogprobsMax
  int64_t prompt_logprobs = -1;  // scores the prompt with so many alternatives; -1: not
  int64_t adapter = -1;          // of Options::adapters; -1: the model as it is
  uint64_t tenant = 0;           // computed prefixes are shared among requests of one tenant alone
  std::function<void(const Event&)> on_event;
};

struct Options {
  int64_t max_batch = 64;                     // requests decoding at once; others wait in order
  int64_t context_length = 0;                 // 0: the model's own, at most 8192
  int64_t kv_cache_bytes = int64_t{1} << 30;  // never passed
  // A name of chat_template_names() that overrules the model's own template; "": its own.
  std::string chat_template = {};
  bool exact =
      false;  // products in fp32 whatever the file holds; for comparing, at twice the memory
  // Folders of adapters of low rank as PEFT writes them; one that does not fit is refused. Requests
  // with and without one run in the same batch over the same weights.
  std::vector<std::string> adapters = {};
  // What engines of one process that work at the same time must share; none: it works alone.
  std::shared_ptr<Turns> turns = {};
};

struct Stats {
  int64_t running = 0, waiting = 0;
  int64_t prompt_tokens = 0, generated_tokens = 0, cached_tokens = 0;  // since start
  int64_t memory_bytes = 0;                                            // weights and cache
  // Steps that decoded, and the rows of all of them together: their quotient is the batch size.
  int64_t decode_steps = 0, decode_rows = 0;
  // Pages of the attention cache, and those that an answer under way holds.
  int64_t cache_pages = 0, cache_pages_held = 0;
};

using RequestId = uint64_t;

class Engine {
 public:
  // A GGUF file (of any type that artifact::can_dequantise() names) or a Hugging Face folder, of a
  // family in model/config.h. The tokenizer and chat template are the model's own.
  static Result<std::unique_ptr<Engine>> open(const std::string& path, const Options& options = {});
  // Weights that are already in memory (fp32), copied; for evaluation right after training.
  static Result<std::unique_ptr<Engine>> from_weights(
      const model::Weights& weights, std::shared_ptr<const tokenizer::Tokenizer> tokenizer,
      const Options& options = {});
  ~Engine();  // cancels what runs

  const tokenizer::Tokenizer& tokenizer() const;
  // The chat format detected at opening, or the one that the options name; an error text when the
  // model has none that is known.
  const Result<tokenizer::ChatFormat>& chat() const;
  const model::Config& config() const;
  int64_t context_length() const;
  Stats stats() const;

  // Queues a request; a prompt that cannot fit is refused here. Events come later.
  Result<RequestId> submit(Request request);
  // Stops within one step; a last event with finish_reason "cancelled" is delivered.
  void cancel(RequestId id);

  // For callers that just want the answer: submit and wait.
  struct Answer {
    std::vector<tokenizer::TokenId> tokens;
    std::vector<TokenProbability> chosen;  // one a token, when logprobs were asked
    TokenProbability stop;  // the stop token that ended it, when logprobs were asked; else id -1
    std::string text;
    std::string finish_reason;
    int64_t prompt_tokens = 0;
  };
  Result<Answer> generate(Request request);
  // The same for many, in their order; an answer that failed fails them all. `on_wait` is asked
  // about ten times a second with the number that are done; its error ends the waiting, and what
  // still runs.
  Result<std::vector<Answer>> generate_all(std::vector<Request> requests,
                                           const std::function<Result<void>(int64_t)>& on_wait);
  // Raw logits [prompt length, V] of a prompt by the scoring path; for tests and gates.
  Result<std::vector<float>> logits(const std::vector<tokenizer::TokenId>& prompt);
  // The same by the path of answers: every token but the first is decoded, one after another,
  // whatever the model would have said.
  Result<std::vector<float>> decode_logits(const std::vector<tokenizer::TokenId>& tokens);

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace retort::engine
