// Prompts from templates over word lists: "Write a story about {a noun} and {a noun2}.".
//   {noun}     a word of the list `noun`
//   {noun2}    another word of the same list; within a prompt no word comes twice
//   {a noun}   the word with its article, "a boat" or "an apple"
//   {{ and }}  braces as such
// The choice is a pure function of (templates, lists, seed, index): no prompt comes twice, and a
// larger `count` keeps the prompts of a smaller one, so that raising it asks only for the new ones.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "collect/prompt.h"

namespace retort::collect {

using WordLists = std::map<std::string, std::vector<std::string>>;

// One word or phrase a line; blank lines and lines that start with # do not count, nor does a
// word's second mention. An empty list is bad input.
Result<std::vector<std::string>> read_word_list(const std::string& path);
Result<std::vector<std::string>> parse_word_list(std::string_view text, const std::string& name);

// "boat" -> "a boat". By the first letter, with the common exceptions; a word that starts with an
// article keeps it.
std::string with_article(const std::string& word);

struct TemplateOptions {
  std::vector<std::string> templates;  // mixed in equal parts, as far as each has enough prompts
  WordLists words;
  int64_t count = 0;
  uint64_t seed = 1;
};

// Bad input: unknown slot, no slot, more prompts asked for than there are.
Result<std::vector<Prompt>> sample_prompts(const TemplateOptions& options);
// How many different prompts the templates can make (clamped to 2^62).
Result<int64_t> possible_prompts(const TemplateOptions& options);

// A keyed permutation of [0, size): index -> value, without a table. size in [1, 2^62].
uint64_t permuted(uint64_t index, uint64_t size, uint64_t key);

}  // namespace retort::collect
