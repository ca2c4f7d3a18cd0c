// Encoding with a SentencePiece vocabulary of the BPE kind, as Llama 2 and Mistral have it: a blank
// is a character like others (files spell it U+2581), nothing splits a text beforehand, and
// characters without a token are spelt in bytes. Immutable; tokens belong to the vocabulary.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/bpe_internal.h"
#include "tokenizer/word_table_internal.h"

namespace retort::tokenizer {

class SentencePieces {
 public:
  // `texts`: the tokens that text may become, byte tokens not among them.
  static Result<SentencePieces> create(const Vocabulary& vocabulary, const WordTable& texts);

  // O(n log n) for any input.
  void encode(std::string_view text, Place place, std::vector<TokenId>& out) const;

 private:
  Result<void> merge_by_score(const Vocabulary& vocabulary, const WordTable& texts);
  void add_splits(TokenId id, const std::string& token, uint32_t rank, const WordTable& texts);
  void encode_word(std::string_view word, std::vector<TokenId>& ids,
                   std::vector<TokenId>& out) const;

  WordTable characters_;  // tokens of one character
  std::vector<TokenId> bytes_;
  Bpe bpe_;
  SpacePrefix prefix_ = SpacePrefix::none;
  // No token goes on from another character to a blank: a text may be cut there.
  bool cut_at_blanks_ = true;
};

// A token as its bytes: U+2581 is a blank.
std::string piece_to_bytes(std::string_view spelling);
// "<0x0A>" is the byte 10.
std::optional<uint8_t> byte_of_piece(std::string_view spelling);

// Whether a blank goes before a text that stands there.
bool takes_prefix(SpacePrefix prefix, Place place, std::string_view text);
// Whether the token holds a blank behind something else. Where none does, a text may be cut before
// such blanks: word_end() says where the word that begins at `at` ends.
bool goes_on_to_blank(std::string_view token);
size_t word_end(std::string_view text, size_t at);

// The vocabulary of such a file: spellings, what is special, and which tokens are bytes. Refuses
// one that lacks a byte; from_spelt_pieces() has none.
struct Pieces {
  std::vector<std::string> spellings;
  std::vector<bool> special;
  std::vector<bool> byte;
};
Result<Vocabulary> from_pieces(const Pieces& pieces);
Vocabulary from_spelt_pieces(const Pieces& pieces);

}  // namespace retort::tokenizer
