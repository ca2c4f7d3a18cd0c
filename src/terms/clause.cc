#include "terms/clause.h"
#include "base/ascii.h"

#include <algorithm>

#include "crypto/hash.h"

namespace retort::terms {
namespace {

// The end of a link's target, one past its ")", where `at` is the "]" that closes its text; `at`
// itself where this is no link. Targets may hold balanced brackets.
size_t after_target(std::string_view text, size_t at) {
  if (at + 1 >= text.size() || text[at + 1] != '(') return at;
  int open = 0;
  for (size_t i = at + 1; i < text.size() && text[i] != '\n'; ++i) {
    if (text[i] == '(') ++open;
    if (text[i] == ')' && --open == 0) return i + 1;
  }
  return at;
}

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// Bytes of the UTF-8 character at `at`; broken UTF-8 counts byte by byte.
size_t size_of(std::string_view text, size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  const size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
  return std::min(size, text.size() - at);
}

bool is_typographic(std::string_view character) {
  return character == "\xc2\xa0" || character.substr(0, 2) == "\xe2\x80" ||
         (character.substr(0, 2) == "\xe2\x81" && character.size() == 3 &&
          static_cast<unsigned char>(character[2]) <= 0xaf);
}

}  // namespace

std::string normalised_clause(std::string_view markdown) {
  std::string out;
  bool gap = false;
  const auto put = [&](std::string_view text) {
    if (gap && !out.empty()) out += ' ';
    gap = false;
    out += text;
  };
  for (size_t at = 0; at < markdown.size();) {
    const size_t size = size_of(markdown, at);
    const std::string_view character = markdown.substr(at, size);
    const char c = base::lower(markdown[at]);
    if (c == ']') {
      const size_t end = after_target(markdown, at);
      gap = true;
      at = end == at ? at + 1 : end;
      continue;
    }
    const bool counts = size > 1 ? !is_typographic(character) : is_plain(c);
    if (!counts) {
      gap = true;
    } else if (size > 1) {
      put(character);
    } else {
      put({&c, 1});
    }
    at += size;
  }
  return out;
}

std::string clause_sha256(std::string_view markdown) {
  return crypto::sha256_hex(normalised_clause(markdown));
}

}  // namespace retort::terms
