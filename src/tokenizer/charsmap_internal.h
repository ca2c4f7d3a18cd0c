// How SentencePiece rewrites texts before it cuts them: rules from byte strings to byte strings, as
// its models hold them compiled (precompiled_charsmap). The layout is that of
// sentencepiece/src/normalizer.cc: 4 bytes with the size of a double array, little-endian as all
// of it, the array (darts-clone), then what the rules lead to, each with a zero byte behind it.
// Immutable.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace retort::tokenizer {

class Charsmap {
 public:
  // Refuses sizes that do not fit. What the array leads to is checked when it is followed.
  static Result<Charsmap> parse(std::string_view compiled);

  struct Rule {
    std::string_view to;
    size_t size = 0;  // bytes of the text that it stands for; 0: no rule fits
  };
  // The longest rule for what the text begins with.
  Rule longest(std::string_view text) const;

 private:
  std::string_view text_at(uint32_t offset) const;

  std::vector<uint32_t> array_;
  std::string texts_;
};

}  // namespace retort::tokenizer
