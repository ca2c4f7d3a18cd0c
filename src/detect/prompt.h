// One message as detection sees it: hashes of its words and of their places. Pure; safe from any
// thread.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "detect/sketch.h"

namespace retort::detect {

constexpr int kEdgeWords = 12;  // compared at both ends to tell a template from what fills it
constexpr int kKeyWords = 4;    // of the beginning or the end, that make a template's key

struct Prompt {
  uint64_t exact = 0;   // of all words
  uint32_t prefix = 0;  // of the first kKeyWords words; 0 for texts shorter than six words
  uint32_t suffix = 0;  // of the last ones
  int words = 0;
  std::array<uint16_t, kEdgeWords> head{}, tail{};  // a hash a word; tail[0] is the last word
  std::array<uint32_t, kEdgeWords> letters{};       // the first four letters of the first words
  uint64_t topic = 0;                               // of the longest word that is no common one
  Bag bag;                                          // of all words of five letters and more
  int64_t number = -1;                              // the first number in it
  bool asks_reasoning = false;                      // for the way to the answer, not for it alone
  bool asks_data = false;                           // for questions, rubrics, training examples
};

// Reads the first 4 KiB and the last 1 KiB of a longer text, ASCII in lower case, digits masked.
// Another salt gives other hashes; flags, numbers and letters do not depend on it.
Prompt analyse(std::string_view text, uint64_t salt);

// A salted hash of a whole text, white space at its ends left out; never 0.
uint64_t hash_text(std::string_view text, uint64_t salt);

}  // namespace retort::detect
