// Encoding with a SentencePiece vocabulary of the unigram kind, as T5 and llm-jp have it (Kudo
// 2018, arXiv 1804.10959): of all ways to cut a text into tokens the one with the highest sum of
// scores. Characters without a token are spelt in bytes where the vocabulary has them, and are its
// unknown token otherwise, one for neighbours together. Immutable; tokens belong to the vocabulary.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/charsmap_internal.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/word_table_internal.h"

namespace retort::tokenizer {

class Unigram {
 public:
  // `texts`: the tokens that text may become, byte tokens not among them.
  static Result<Unigram> create(const Vocabulary& vocabulary, const WordTable& texts);

  // O(n) but for the length of tokens, for any input.
  void encode(std::string_view text, Place place, std::vector<TokenId>& out) const;

 private:
  // The best way to cut what stands before a place: its last token, and where that begins.
  struct Best {
    double score = 0;
    size_t from = 0;
    TokenId id = kNotReached;
  };
  static constexpr TokenId kNotReached = -2, kSpelt = -1;  // kSpelt: in bytes, or unknown
  struct Range {                                           // of pieces_
    size_t first, last;
  };

  std::string rewritten(std::string_view text, Place place) const;
  Charsmap::Rule next_rule(std::string_view text) const;
  Range narrowed(Range range, size_t depth, char next) const;
  void find_best(std::string_view word, std::vector<Best>& best) const;
  // What has no token. `first_out`: where the ids of this text begin.
  void spell(std::string_view text, size_t first_out, std::vector<TokenId>& out) const;

  struct Piece {
    std::string_view text;
    TokenId id;
    double score;
  };
  std::vector<Piece> pieces_;  // in order of their bytes
  std::vector<TokenId> bytes_;
  TokenId unknown_ = -1;
  double unknown_score_ = 0;
  SpacePrefix prefix_ = SpacePrefix::none;
  bool drops_blanks_ = false;
  std::optional<Charsmap> charsmap_;
  bool cut_at_blanks_ = true;
};

}  // namespace retort::tokenizer
