// Text as a sequence of word hashes, the form in which curation compares it. A word is a run of
// ASCII letters, digits and other non-ASCII characters; ASCII letters count as lower case;
// punctuation and apostrophes vanish ("don't" is "dont"). Scripts without spaces (Han, kana,
// Hangul) give one word a character. Pure; any thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace retort::curate {

using Word = uint64_t;
using Words = std::vector<Word>;

Words words_of(std::string_view text);

// Replaces every occurrence of one of `phrases` (slot values; also with a plural s or es) by one
// mark, the same for all. Longer phrases first.
Words masked(std::string_view text, const std::vector<std::string>& phrases);

// A hash of the whole sequence, for exact copies.
struct Fingerprint {
  uint64_t high = 0;
  uint64_t low = 0;
  auto operator<=>(const Fingerprint&) const = default;
};
Fingerprint fingerprint(const Words& words, uint64_t salt = 0);

// The distinct runs of `length` words as 32-bit hashes, sorted. Fewer words than that: one run of
// what there is, nothing for no words.
using Shingles = std::vector<uint32_t>;
Shingles shingles_of(const Words& words, int length = 3);

// The share of three-word runs that occurred before in the same text: 0 for prose, towards 1 for a
// text that loops.
double repetition(const Words& words);

// Shared shingles over all shingles of two sorted sets; 0 when both are empty.
double jaccard(const Shingles& a, const Shingles& b);

}  // namespace retort::curate
