// Pre-tokenizers: where words begin and end. Written by hand after the published patterns, one
// pass, linear in the text. \s, \p{L}, \p{N} are the classes of characters_internal.h.
//
//   gpt2     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//   smollm   every \p{N} is a word; what stands between two of them is split by gpt2 on its own
//   llama3   (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
//            ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
//   qwen2    llama3 with \p{N} in place of \p{N}{1,3}
//
// In each of them a word never goes on from a character that is no white space to a blank (U+0020),
// so a text may be cut before such a blank and its parts split apart.
#pragma once
#include "tokenizer/characters_internal.h"
#include "tokenizer/tokenizer.h"

namespace retort::tokenizer {

class Splitter {
 public:
  Splitter(PreTokenizer pre, std::string_view text)
      : pre_(pre), text_(text), table_(class_table()) {}

  // The next word; empty at the end of the text.
  std::string_view next() {
    if (at_ == text_.size()) return {};
    const size_t begin = at_;
    switch (pre_) {
      case PreTokenizer::gpt2:
        at_ = gpt2_end(begin);
        break;
      case PreTokenizer::smollm:
        at_ = smollm_end(begin);
        break;
      case PreTokenizer::llama3:
        at_ = llama3_end(begin, 3);
        break;
      case PreTokenizer::qwen2:
        at_ = llama3_end(begin, 1);
        break;
    }
    return text_.substr(begin, at_ - begin);
  }

 private:
  Character character(size_t at) const { return character_at(table_, text_, at); }
  size_t run_end(size_t at, CharClass klass) const {
    while (at < text_.size()) {
      const Character c = character(at);
      if (c.klass != klass) break;
      at += c.size_bytes;
    }
    return at;
  }
  size_t gpt2_end(size_t begin) const;
  size_t smollm_end(size_t begin) const;
  size_t llama3_end(size_t begin, int digits_max) const;
  // Behind 's 't 'm 'd 're 've 'll at `begin`, or `begin` itself.
  size_t contraction_end(size_t begin, bool any_case) const;
  // \s+(?!\S)|\s+ from `begin`; with `before_number` a number counts as the end of the text.
  size_t space_end(size_t begin, bool before_number) const;

  PreTokenizer pre_;
  std::string_view text_;
  const CharClass* table_;
  size_t at_ = 0;
};

}  // namespace retort::tokenizer
