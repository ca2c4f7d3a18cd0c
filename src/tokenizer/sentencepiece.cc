#include "tokenizer/sentencepiece_internal.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tokenizer/characters_internal.h"

namespace retort::tokenizer {
namespace {

constexpr std::string_view kBlank = "\u2581";
// Every split of a token is looked up, which costs its length squared; real ones have under 100.
constexpr size_t kLongestPiece = 4096;

size_t character_size(std::string_view text, size_t at) {
  return character_at(class_table(), text, at).size_bytes;
}

}  // namespace

bool goes_on_to_blank(std::string_view token) {
  for (size_t i = 1; i < token.size(); ++i) {
    if (token[i] == ' ' && token[i - 1] != ' ') return true;
  }
  return false;
}

size_t word_end(std::string_view text, size_t at) {
  for (size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == ' ' && text[i - 1] != ' ') return i;
  }
  return text.size();
}

bool takes_prefix(SpacePrefix prefix, Place place, std::string_view text) {
  if (text.empty() || prefix == SpacePrefix::none || place == Place::inside) return false;
  if (prefix == SpacePrefix::each) return true;
  return !text.starts_with(' ') &&
         (prefix == SpacePrefix::each_unless_blank || place == Place::start);
}

std::string piece_to_bytes(std::string_view spelling) {
  std::string out;
  out.reserve(spelling.size());
  for (size_t at = 0; at < spelling.size();) {
    const size_t found = std::min(spelling.find(kBlank, at), spelling.size());
    out += spelling.substr(at, found - at);
    if (found < spelling.size()) out += ' ';
    at = found + kBlank.size();
  }
  return out;
}

std::optional<uint8_t> byte_of_piece(std::string_view spelling) {
  if (spelling.size() != 6 || !spelling.starts_with("<0x") || spelling[5] != '>') {
    return std::nullopt;
  }
  int value = 0;
  for (const char c : spelling.substr(3, 2)) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'A' || c > 'F')) return std::nullopt;
    value = value * 16 + (digit ? c - '0' : c - 'A' + 10);
  }
  return static_cast<uint8_t>(value);
}

Result<Vocabulary> from_pieces(const Pieces& pieces) {
  Vocabulary vocabulary;
  vocabulary.special = pieces.special;
  vocabulary.byte_tokens.assign(256, -1);
  for (size_t i = 0; i < pieces.spellings.size(); ++i) {
    const std::string& spelling = pieces.spellings[i];
    if (!pieces.byte[i]) {
      vocabulary.tokens.push_back(pieces.special[i] ? spelling : piece_to_bytes(spelling));
      continue;
    }
    const auto byte = byte_of_piece(spelling);
    if (!byte) {
      return base::bad_input(fmt::format("token {} (\"{}\") is to be a byte and names none", i,
                                         spelling.substr(0, 40)));
    }
    vocabulary.tokens.emplace_back(1, static_cast<char>(*byte));
    vocabulary.byte_tokens[*byte] = static_cast<TokenId>(i);
  }
  const auto& bytes = vocabulary.byte_tokens;
  const auto missing = std::find(bytes.begin(), bytes.end(), -1);
  if (missing == bytes.end()) return vocabulary;
  return base::bad_input(
      fmt::format("there is no token <0x{:02X}>", missing - bytes.begin()), "",
      "SentencePiece vocabularies are read when they have tokens for all bytes, as Llama 2's");
}

Vocabulary from_spelt_pieces(const Pieces& pieces) {
  Vocabulary vocabulary;
  vocabulary.special = pieces.special;
  for (size_t i = 0; i < pieces.spellings.size(); ++i) {
    const std::string& spelling = pieces.spellings[i];
    vocabulary.tokens.push_back(pieces.special[i] ? spelling : piece_to_bytes(spelling));
  }
  return vocabulary;
}

Result<SentencePieces> SentencePieces::create(const Vocabulary& vocabulary,
                                              const WordTable& texts) {
  SentencePieces made;
  made.bytes_ = vocabulary.byte_tokens;
  made.prefix_ = vocabulary.space_prefix;
  made.characters_.reserve(vocabulary.tokens.size());
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const std::string& token = vocabulary.tokens[i];
    if (texts.find(token) != static_cast<TokenId>(i)) continue;
    if (character_size(token, 0) == token.size()) {
      made.characters_.add(token, static_cast<TokenId>(i));
    }
    if (goes_on_to_blank(token)) made.cut_at_blanks_ = false;
  }
  if (!vocabulary.scores.empty()) {
    RETORT_TRY_VOID(made.merge_by_score(vocabulary, texts));
    return made;
  }
  made.bpe_.merges.reserve(vocabulary.merges.size());
  for (size_t rank = 0; rank < vocabulary.merges.size(); ++rank) {
    const auto [left, right] = vocabulary.merges[rank];
    const TokenId merged = texts.find(vocabulary.tokens[static_cast<size_t>(left)] +
                                      vocabulary.tokens[static_cast<size_t>(right)]);
    made.bpe_.merges.add(left, right, static_cast<uint32_t>(rank), merged);
  }
  return made;
}

// SentencePiece merges whatever two neighbours make a token, the token of the highest score first:
// that is a rank for every split of every token, and one rank for all splits of equal score.
Result<void> SentencePieces::merge_by_score(const Vocabulary& vocabulary, const WordTable& texts) {
  const size_t size = vocabulary.tokens.size();
  if (vocabulary.scores.size() != size) {
    return base::bad_input(
        fmt::format("there are {} scores for {} tokens", vocabulary.scores.size(), size));
  }
  std::vector<uint32_t> order;
  size_t splits = 0;
  for (uint32_t i = 0; i < size; ++i) {
    if (std::isnan(vocabulary.scores[i])) {
      return base::bad_input(fmt::format("the score of token {} is no number", i));
    }
    if (texts.find(vocabulary.tokens[i]) != static_cast<TokenId>(i)) continue;
    if (vocabulary.tokens[i].size() > kLongestPiece) {
      return base::bad_input(fmt::format("token {} has {} bytes", i, vocabulary.tokens[i].size()),
                             "", fmt::format("pieces of up to {} are read", kLongestPiece));
    }
    order.push_back(i);
    splits += vocabulary.tokens[i].size() - 1;
  }
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return vocabulary.scores[a] > vocabulary.scores[b];
  });
  bpe_.merges.reserve(splits);
  uint32_t rank = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && vocabulary.scores[order[i]] != vocabulary.scores[order[i - 1]]) ++rank;
    add_splits(static_cast<TokenId>(order[i]), vocabulary.tokens[order[i]], rank, texts);
  }
  return {};
}

void SentencePieces::add_splits(TokenId id, const std::string& token, uint32_t rank,
                                const WordTable& texts) {
  const std::string_view whole = token;
  for (size_t at = character_size(whole, 0); at < whole.size(); at += character_size(whole, at)) {
    const TokenId left = texts.find(whole.substr(0, at));
    const TokenId right = left < 0 ? -1 : texts.find(whole.substr(at));
    if (right >= 0) bpe_.merges.add(left, right, rank, id);
  }
}

void SentencePieces::encode_word(std::string_view word, std::vector<TokenId>& ids,
                                 std::vector<TokenId>& out) const {
  ids.clear();
  for (size_t at = 0; at < word.size();) {
    const size_t size = character_size(word, at);
    const TokenId id = characters_.find(word.substr(at, size));
    if (id >= 0) ids.push_back(id);
    for (size_t i = at; id < 0 && i < at + size; ++i) {
      ids.push_back(bytes_[static_cast<uint8_t>(word[i])]);
    }
    at += size;
  }
  bpe_.merge_ids(ids, out);
}

void SentencePieces::encode(std::string_view text, Place place, std::vector<TokenId>& out) const {
  std::string written = piece_to_bytes(text);
  if (takes_prefix(prefix_, place, written)) written.insert(0, 1, ' ');
  const std::string_view whole = written;
  std::vector<TokenId> ids;  // of one word
  for (size_t at = 0; at < whole.size();) {
    const size_t end = cut_at_blanks_ ? word_end(whole, at) : whole.size();
    encode_word(whole.substr(at, end - at), ids, out);
    at = end;
  }
}

}  // namespace retort::tokenizer
