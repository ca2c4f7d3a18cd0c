#include "evaluate/wording.h"
#include "base/ascii.h"

#include <algorithm>
#include <set>

namespace retort::evaluate {
namespace {

bool is_word_byte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
         (byte >= 'A' && byte <= 'Z');
}

// U+2000 to U+206F, three bytes each: curly quotes, dashes, the ellipsis.
bool is_unicode_punctuation(std::string_view text) {
  return text.size() >= 3 && (text.starts_with("\xe2\x80") || text.starts_with("\xe2\x81"));
}

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

bool same_or_plural(const std::string& word, const std::string& value) {
  if (word == value || word == value + "s" || word == value + "es") return true;
  return value.size() > 1 && value.back() == 'y' &&
         word == value.substr(0, value.size() - 1) + "ies";
}

// Where a mark's closing quotes and brackets end.
size_t after_closing(std::string_view text, size_t at) {
  static constexpr std::string_view kClosing[] = {"\"", "'", ")", "]", "*", "\u201d", "\u2019"};
  while (true) {
    const auto* closing =
        std::find_if(std::begin(kClosing), std::end(kClosing),
                     [&](std::string_view mark) { return text.substr(at).starts_with(mark); });
    if (closing == std::end(kClosing)) return at;
    at += closing->size();
  }
}

std::string joined(const std::vector<std::string>& words, size_t from, size_t count) {
  std::string out;
  for (size_t i = from; i < from + count; ++i) out += words[i] + ' ';
  return out;
}

double share(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  bool inside = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool mark = is_unicode_punctuation(text.substr(i));
    if (mark || !is_word_byte(text[i])) {
      inside = false;
      if (mark) i += 2;
      continue;
    }
    if (!inside) words.emplace_back();
    inside = true;
    words.back() += base::lower(text[i]);
  }
  return words;
}

bool names(const std::vector<std::string>& text_words, std::string_view value) {
  const std::vector<std::string> wanted = words_of(value);
  if (wanted.empty()) return true;
  for (size_t at = 0; at + wanted.size() <= text_words.size(); ++at) {
    const size_t last = wanted.size() - 1;
    const auto from = text_words.begin() + static_cast<std::ptrdiff_t>(at);
    if (std::equal(wanted.begin(), wanted.end() - 1, from) &&
        same_or_plural(text_words[at + last], wanted[last])) {
      return true;
    }
  }
  return false;
}

bool names_all(std::string_view text, const std::vector<std::string>& values) {
  const std::vector<std::string> words = words_of(text);
  return std::all_of(values.begin(), values.end(),
                     [&](const std::string& value) { return names(words, value); });
}

int64_t sentence_count(std::string_view text) {
  int64_t count = 0;
  bool open = false;  // a word was seen since the last end
  for (size_t i = 0; i < text.size();) {
    if (text[i] != '.' && text[i] != '!' && text[i] != '?') {
      open = open || is_word_byte(text[i]);
      ++i;
      continue;
    }
    while (i < text.size() && (text[i] == '.' || text[i] == '!' || text[i] == '?')) ++i;
    const size_t next = after_closing(text, i);
    if (open && (next >= text.size() || is_space(text[next]))) {
      ++count;
      open = false;
    }
    i = next;
  }
  return count + (open ? 1 : 0);
}

Readability readability(const std::vector<AnswerText>& answers) {
  int64_t ended = 0, word_count = 0, sentences = 0, pairs = 0, fours = 0, repeated = 0;
  std::set<std::string> distinct_pairs;
  for (const AnswerText& answer : answers) {
    const std::vector<std::string> words = words_of(answer.text);
    ended += answer.ended ? 1 : 0;
    word_count += static_cast<int64_t>(words.size());
    sentences += sentence_count(answer.text);
    for (size_t i = 0; i + 2 <= words.size(); ++i, ++pairs) {
      distinct_pairs.insert(joined(words, i, 2));
    }
    std::set<std::string> seen;
    for (size_t i = 0; i + 4 <= words.size(); ++i, ++fours) {
      if (!seen.insert(joined(words, i, 4)).second) ++repeated;
    }
  }
  const auto n = static_cast<int64_t>(answers.size());
  return {.answers = n,
          .ended = share(ended, n),
          .mean_words = share(word_count, n),
          .mean_sentences = share(sentences, n),
          .distinct_2 = share(static_cast<int64_t>(distinct_pairs.size()), pairs),
          .repeated_4grams = share(repeated, fours)};
}

}  // namespace retort::evaluate
