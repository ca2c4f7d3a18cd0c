// The one generator of an answer's pieces: events of the engine in, what is new of a choice out. A
// stream prints each piece; a whole answer is the pieces put together, so the two cannot differ.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "openai/answer.h"
#include "serve/plan_internal.h"

namespace retort::serve {

// What is new of one choice.
struct Piece {
  int64_t index = 0;
  bool opens = false;  // the first of its choice
  std::string text;
  // With logprobs: the new tokens. An echoed first token has none, which is NaN here.
  std::vector<openai::TokenLogprob> tokens;
  std::vector<int64_t> offsets;  // of each token, in characters of the choice's text
  std::optional<openai::PromptLogprobs> prompt_logprobs;
  std::string finish_reason;  // "" while the choice goes on
  // What ended it, at the end: a stop token or a stop string.
  tokenizer::TokenId stop_token = -1;
  std::string stop_string;
  std::vector<tokenizer::TokenId> ids;  // the new tokens of an answer that lists them
  openai::Usage usage;                  // of this choice alone, at its end
  // Of the answer's own tokens, where the engine was asked for them.
  double logprob_sum = 0;
  int64_t scored_tokens = 0;

  bool says_nothing() const { return text.empty() && tokens.empty() && finish_reason.empty(); }
  // Puts the piece that follows behind this one.
  void append(Piece next);
  // Of the answer in the mean; one without a token is the least likely.
  double logprob_per_token() const;
};

// Of each prompt's `answers` neighbours the `returned` ones with the highest log-probability a
// token, best first and numbered anew; of equals the earlier one.
std::vector<Piece> keep_best(std::vector<Piece> choices, int64_t answers, int64_t returned);

class ChoicePieces {
 public:
  ChoicePieces(int64_t index, const Plan& plan, const ChoicePlan& choice,
               const tokenizer::Tokenizer& tokenizer);
  Piece take(const engine::Event& event);

 private:
  void add_prompt(const engine::Event& event, Piece& piece);
  openai::PromptLogprob prompt_entry(const engine::TokenProbability& token) const;
  void add_token(const engine::TokenProbability& chosen,
                 const std::vector<engine::TokenProbability>& top, int64_t top_count, Piece& piece);
  std::string spelling(tokenizer::TokenId id) const;

  int64_t index_;
  bool lists_chosen_;  // among its alternatives in any case, as the older API does
  bool lists_ids_;     // of the answer, as SGLang does
  bool logprobs_;
  bool echo_logprobs_;
  int64_t echo_top_;
  int64_t top_;
  bool prompt_logprobs_;
  std::string echo_;
  const tokenizer::Tokenizer& tokenizer_;
  bool begun_ = false;      // the first event has come
  bool opened_ = false;     // a piece has said something
  int64_t characters_ = 0;  // of the tokens so far
};

// What every answer to one request carries.
struct AnswerHead {
  std::string id;
  std::string model;
  int64_t created = 0;
  bool chat = false;
  bool logprobs = false;
  bool usage_follows = false;  // at the end of a stream
};

std::string print_piece(const AnswerHead& head, Piece piece);
std::string print_usage_piece(const AnswerHead& head, const openai::Usage& usage);
std::string print_whole(const AnswerHead& head, std::vector<Piece> choices,
                        const openai::Usage& usage);

}  // namespace retort::serve
