// Which answers are not worth learning from, one at a time. Pure.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "curate/words.h"

namespace retort::curate {

// Why a record was left out. One reason a record: the first that applies, in the order of
// judge_answer() and then of this list. name(reason) is its name in the funnel.
enum class Drop {
  none,
  not_in_run,   // answers a request that the run file no longer makes
  empty,        // no word in the answer
  truncated,    // the answer was cut at max_tokens
  filtered,     // the provider's content filter cut or replaced it
  refused,      // the teacher declined
  wrong_model,  // another model answered than was asked
  too_short,
  too_long,
  repetitive,
  exact_copy,     // same prompt and same answer as another record
  near_copy,      // see near.h and curate.h
  near_held_out,  // left in training, it would be near a held-out answer
};
inline constexpr int kDropReasons = 13;
const char* name(Drop reason);
// A line for people: what the rule is.
const char* explain(Drop reason);

// An opening by which models decline. Plain words at the very start of the answer, any case; a
// declining character in quotes ("I cannot swim," said the boat) is none.
bool opens_with_refusal(std::string_view answer);
// The list itself, for the documentation.
const std::vector<std::string>& refusal_openings();

struct QualityOptions {
  int64_t min_words = 1;
  int64_t max_words = 2000;
  // Two-sentence stories and encyclopaedia prose stay below 0.1; a text that repeats one sentence
  // once reaches 0.4 to 0.5. Gopher (Rae et al. 2021, table A1) drops web text from 0.15 to 0.18 of
  // its characters in repeated runs of 8 to 5 words; shorter runs repeat more by chance, hence
  // more.
  double max_repetition = 0.25;
};

struct AnswerFacts {
  std::string_view text{};
  bool truncated = false;
  bool filtered = false;
  bool refused = false;
  bool wrong_model = false;
};

Drop judge_answer(const AnswerFacts& facts, const Words& words, const QualityOptions& options);

}  // namespace retort::curate
