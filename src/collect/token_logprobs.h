// What a teacher says of the tokens of its answer, as records keep it. Pure.
#pragma once
#include <vector>

#include "base/result.h"
#include "corpus/logprobs.h"
#include "json/value.h"

namespace retort::collect {

// The log-probabilities of a chat choice's tokens, alternatives likeliest first; empty where the
// teacher sent none. What cannot be log-probabilities (above 0, masses that add up to more than 1)
// is bad input: half of an answer's tokens would be worse than none.
Result<std::vector<corpus::TokenLogprobs>> read_logprobs(const json::Value& choice);

}  // namespace retort::collect
