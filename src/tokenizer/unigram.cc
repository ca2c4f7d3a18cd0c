#include "tokenizer/unigram_internal.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "tokenizer/characters_internal.h"
#include "tokenizer/sentencepiece_internal.h"

namespace retort::tokenizer {
namespace {

constexpr double kUnknownPenalty = 10;  // below the worst token, as SentencePiece has it
constexpr std::string_view kReplacement = "\uFFFD";

}  // namespace

Result<Unigram> Unigram::create(const Vocabulary& vocabulary, const WordTable& texts) {
  if (vocabulary.scores.size() != vocabulary.tokens.size()) {
    return base::bad_input(fmt::format("there are {} scores for {} tokens",
                                       vocabulary.scores.size(), vocabulary.tokens.size()));
  }
  if (vocabulary.unk < 0 && vocabulary.byte_tokens.empty()) {
    return base::bad_input("there is neither an unknown token nor one for each byte");
  }
  Unigram made;
  made.bytes_ = vocabulary.byte_tokens;
  made.unknown_ = vocabulary.unk;
  made.prefix_ = vocabulary.space_prefix;
  made.drops_blanks_ = vocabulary.drops_blanks;
  if (!vocabulary.charsmap.empty()) {
    RETORT_TRY(made.charsmap_, Charsmap::parse(vocabulary.charsmap));
  }
  double lowest = 0;
  for (size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    const std::string& token = vocabulary.tokens[i];
    const auto score = static_cast<double>(vocabulary.scores[i]);
    if (!std::isfinite(score)) {
      return base::bad_input(fmt::format("the score of token {} is no number", i));
    }
    if (texts.find(token) != static_cast<TokenId>(i)) continue;
    made.pieces_.push_back({token, static_cast<TokenId>(i), score});
    lowest = made.pieces_.size() == 1 ? score : std::min(lowest, score);
    if (goes_on_to_blank(token)) made.cut_at_blanks_ = false;
  }
  made.unknown_score_ = lowest - kUnknownPenalty;
  std::sort(made.pieces_.begin(), made.pieces_.end(),
            [](const Piece& a, const Piece& b) { return a.text < b.text; });
  return made;
}

// Of pieces that begin alike up to `depth`, those that go on with `next`.
Unigram::Range Unigram::narrowed(Range range, size_t depth, char next) const {
  const int wanted = static_cast<uint8_t>(next);
  const auto byte_of = [&](const Piece& piece) {
    return piece.text.size() > depth ? int{static_cast<uint8_t>(piece.text[depth])} : -1;
  };
  const auto begin = pieces_.begin() + static_cast<std::ptrdiff_t>(range.first);
  const auto end = pieces_.begin() + static_cast<std::ptrdiff_t>(range.last);
  const auto first =
      std::partition_point(begin, end, [&](const Piece& piece) { return byte_of(piece) < wanted; });
  const auto last = std::partition_point(
      first, end, [&](const Piece& piece) { return byte_of(piece) <= wanted; });
  return {static_cast<size_t>(first - pieces_.begin()),
          static_cast<size_t>(last - pieces_.begin())};
}

// Of equal sums the cut counts whose last token is the longest, as in SentencePiece.
void Unigram::find_best(std::string_view word, std::vector<Best>& best) const {
  best.assign(word.size() + 1, {});
  const auto offer = [&](size_t to, const Best& way) {
    if (best[to].id == kNotReached || way.score > best[to].score) best[to] = way;
  };
  size_t character = 0;
  for (size_t at = 0; at < word.size(); at += character) {
    character = character_at(class_table(), word, at).size_bytes;
    const double score = best[at].score;
    bool is_token = false;
    Range range{0, pieces_.size()};
    for (size_t end = at + 1; end <= word.size(); ++end) {
      range = narrowed(range, end - at - 1, word[end - 1]);
      if (range.first == range.last) break;
      const Piece& piece = pieces_[range.first];
      if (piece.text.size() != end - at) continue;
      offer(end, {score + piece.score, at, piece.id});
      is_token = is_token || end == at + character;
    }
    if (!is_token) offer(at + character, {score + unknown_score_, at, kSpelt});
  }
}

void Unigram::spell(std::string_view text, size_t first_out, std::vector<TokenId>& out) const {
  if (bytes_.empty()) {
    if (out.size() == first_out || out.back() != unknown_) out.push_back(unknown_);
    return;
  }
  for (const char c : text) out.push_back(bytes_[static_cast<uint8_t>(c)]);
}

// The next character of the text, or as much as a rule takes, and what is written for it.
Charsmap::Rule Unigram::next_rule(std::string_view text) const {
  Charsmap::Rule rule;
  if (charsmap_) rule = charsmap_->longest(text);
  if (rule.size > 0) return rule;
  const size_t size = character_at(class_table(), text, 0).size_bytes;
  const bool is_character = size > 1 || static_cast<uint8_t>(text[0]) < 0x80;
  return {is_character ? text.substr(0, size) : kReplacement, size};
}

std::string Unigram::rewritten(std::string_view text, Place place) const {
  if (!charsmap_ && !drops_blanks_) {
    std::string written = piece_to_bytes(text);
    if (takes_prefix(prefix_, place, written)) written.insert(0, 1, ' ');
    return written;
  }
  std::string written = takes_prefix(prefix_, place, text) ? " " : "";
  bool after_blank = drops_blanks_;
  while (!text.empty()) {
    const Charsmap::Rule rule = next_rule(text);
    std::string_view to = rule.to;
    while (after_blank && to.starts_with(' ')) to.remove_prefix(1);
    written += piece_to_bytes(to);
    if (!to.empty()) after_blank = drops_blanks_ && to.ends_with(' ');
    text.remove_prefix(rule.size);
  }
  while (drops_blanks_ && written.ends_with(' ')) written.pop_back();
  return written;
}

void Unigram::encode(std::string_view text, Place place, std::vector<TokenId>& out) const {
  const std::string written = rewritten(text, place);
  const std::string_view whole = written;
  const size_t first_out = out.size();
  std::vector<Best> best;       // of one word
  std::vector<size_t> borders;  // between its tokens, the last first
  for (size_t at = 0; at < whole.size();) {
    const size_t end = cut_at_blanks_ ? word_end(whole, at) : whole.size();
    const std::string_view word = whole.substr(at, end - at);
    find_best(word, best);
    borders.clear();
    for (size_t to = word.size(); to > 0; to = best[to].from) borders.push_back(to);
    for (size_t i = borders.size(); i-- > 0;) {
      const Best& way = best[borders[i]];
      if (way.id != kSpelt) {
        out.push_back(way.id);
      } else {
        spell(word.substr(way.from, borders[i] - way.from), first_out, out);
      }
    }
    at = end;
  }
}

}  // namespace retort::tokenizer
