// From a row of logits to a token, and the log-probabilities that a request asked for. A choice is
// a function of the logits, the options, the tokens generated so far and the seed.
#pragma once
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/engine.h"

namespace retort::engine {

// The k most likely of the row, most likely first (the lower id of equals); fewer when it is
// shorter. Log-probabilities are of the row as it is.
std::vector<TokenProbability> most_likely(std::span<const float> logits, int64_t k);
// log softmax(logits)[id], and how many tokens of the row stand before this one.
TokenProbability scored(std::span<const float> logits, tokenizer::TokenId id);

class Sampler {
 public:
  explicit Sampler(Sampling options) : options_(std::move(options)) {}

  // `logits` is changed in place by penalties and biases. Remembers what it chose.
  tokenizer::TokenId choose(std::span<float> logits);

 private:
  void adjust(std::span<float> logits) const;
  // The choice among all, or among those that the filters leave.
  tokenizer::TokenId draw_from_all(std::span<const float> logits, double uniform) const;
  tokenizer::TokenId draw_filtered(std::span<const float> logits, double uniform) const;

  Sampling options_;
  std::unordered_map<tokenizer::TokenId, int64_t> generated_;  // how often
  int64_t drawn_ = 0;
};

}  // namespace retort::engine
