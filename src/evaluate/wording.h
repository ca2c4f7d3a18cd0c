// What can be told from an answer's words alone: does it name what was asked for, how many
// sentences it has, how much it repeats. Pure functions. A word is a run of ASCII letters, digits
// and non-ASCII characters other than general punctuation (U+2000 to U+206F); ASCII case is
// ignored.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace retort::evaluate {

std::vector<std::string> words_of(std::string_view text);

// True when the words of `value` stand next to each other in the text; the last one may be a simple
// plural: with "s", with "es", or "y" turned into "ies".
bool names(const std::vector<std::string>& text_words, std::string_view value);
bool names_all(std::string_view text, const std::vector<std::string>& values);

// Runs of ".", "!", "?" followed by white space or the end (closing quotes and brackets may stand
// between); a last piece without such an end counts as one.
int64_t sentence_count(std::string_view text);

// Over many answers.
struct Readability {
  int64_t answers = 0;
  double ended = 0;  // share that stopped by themselves
  double mean_words = 0;
  double mean_sentences = 0;
  double distinct_2 = 0;       // different word pairs / word pairs, over all answers together
  double repeated_4grams = 0;  // share of 4-word runs that stood in the same answer before
};

struct AnswerText {
  std::string text;
  bool ended = false;
};
Readability readability(const std::vector<AnswerText>& answers);

}  // namespace retort::evaluate
