// A request for one answer: as a record without its answer, and as JSON for /chat/completions.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "collect/budget.h"
#include "collect/options.h"
#include "corpus/record.h"

namespace retort::collect {

// The door that a teacher's address is.
corpus::Door door_of(const Teacher& teacher);

// Everything that is known before asking. `sample` counts the answers to one prompt from 0; with a
// sampling seed each sample of each prompt has a seed of its own.
corpus::Record request_of(const Teacher& teacher, const Options& options, const Prompt& prompt,
                          int64_t sample);

// temperature and max_tokens always; log-probabilities when they are asked for; top_p, top_k,
// repetition_penalty and seed when they are not "off", because an endpoint may reject a field that
// it does not know.
std::string request_body(const corpus::Record& request);

// The most that one attempt can cost: no tokenizer makes more tokens than a text has bytes, and the
// chat format's own marks and default system message are allowed for.
Spend most_of(const corpus::Record& request, const Prices& prices);
// What it will cost, roughly: four bytes a token, answers of 60 % of max_tokens.
Spend likely_of(const corpus::Record& request, const Prices& prices);

}  // namespace retort::collect
