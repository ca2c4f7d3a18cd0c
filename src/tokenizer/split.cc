#include "tokenizer/split_internal.h"

namespace retort::tokenizer {

size_t Splitter::contraction_end(size_t begin, bool any_case) const {
  const auto letter = [&](size_t i) -> char {
    if (i >= text_.size()) return 0;
    const char c = text_[i];
    return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  const char first = letter(begin + 1);
  const char second = letter(begin + 2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return begin + 2;
  if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
      (first == 'l' && second == 'l')) {
    return begin + 3;
  }
  // The long s (U+017F) is an s to a pattern that ignores case.
  if (any_case && text_.substr(begin + 1, 2) == "\xc5\xbf") return begin + 3;
  return begin;
}

size_t Splitter::space_end(size_t begin, bool before_number) const {
  size_t at = begin;
  size_t last = begin;  // where the run's last character starts
  while (at < text_.size()) {
    const Character c = character(at);
    if (c.klass != CharClass::space) {
      if (before_number && c.klass == CharClass::number) return at;
      return last == begin ? at : last;
    }
    last = at;
    at += c.size_bytes;
  }
  return at;
}

size_t Splitter::gpt2_end(size_t begin) const {
  const char byte = text_[begin];
  if (byte == '\'') {
    const size_t end = contraction_end(begin, /*any_case=*/false);
    if (end != begin) return end;
  }
  size_t at = begin;
  Character c = character(begin);
  if (byte == ' ' && begin + 1 < text_.size()) {
    at = begin + 1;
    c = character(at);
  }
  if (c.klass == CharClass::space) return space_end(begin, /*before_number=*/false);
  return run_end(at + c.size_bytes, c.klass);
}

size_t Splitter::smollm_end(size_t begin) const {
  const Character first = character(begin);
  if (first.klass == CharClass::number) return begin + first.size_bytes;
  const char byte = text_[begin];
  if (byte == '\'') {
    const size_t end = contraction_end(begin, /*any_case=*/false);
    if (end != begin) return end;
  }
  if (first.klass != CharClass::space) return run_end(begin + first.size_bytes, first.klass);
  if (byte == ' ' && begin + 1 < text_.size()) {
    const Character c = character(begin + 1);
    if (c.klass == CharClass::letter || c.klass == CharClass::other) {
      return run_end(begin + 1 + c.size_bytes, c.klass);
    }
  }
  return space_end(begin, /*before_number=*/true);
}

size_t Splitter::llama3_end(size_t begin, int digits_max) const {
  const char byte = text_[begin];
  const auto is_break = [&](size_t at) { return text_[at] == '\r' || text_[at] == '\n'; };
  if (byte == '\'') {
    const size_t end = contraction_end(begin, /*any_case=*/true);
    if (end != begin) return end;
  }
  const Character first = character(begin);
  const size_t second = begin + first.size_bytes;
  if (first.klass == CharClass::letter) return run_end(second, CharClass::letter);
  if (first.klass == CharClass::number) {
    size_t at = second;
    for (int digits = 1; digits < digits_max && at < text_.size(); ++digits) {
      const Character c = character(at);
      if (c.klass != CharClass::number) break;
      at += c.size_bytes;
    }
    return at;
  }
  const bool has_second = second < text_.size();
  if (!is_break(begin) && has_second && character(second).klass == CharClass::letter) {
    return run_end(second, CharClass::letter);
  }
  const size_t others = byte == ' ' && has_second ? second : begin;
  if (character(others).klass == CharClass::other) {
    size_t at = run_end(others, CharClass::other);
    while (at < text_.size() && is_break(at)) ++at;
    return at;
  }
  // White space: through its last line break, or as in gpt2.
  size_t after_break = begin;
  for (size_t at = begin; at < text_.size();) {
    const Character c = character(at);
    if (c.klass != CharClass::space) break;
    at += c.size_bytes;
    if (is_break(at - c.size_bytes)) after_break = at;
  }
  if (after_break != begin) return after_break;
  return space_end(begin, /*before_number=*/false);
}

}  // namespace retort::tokenizer
