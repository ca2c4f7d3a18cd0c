#include "report/html_internal.h"

#include <cstdint>

namespace retort::report {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

// One UTF-8 character at `at`, which moves on; an invalid byte gives U+FFFD and moves by one.
char32_t next_character(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(at++);
  if (first < 0x80) return first;
  const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
  if (first < 0xC2 || first > 0xF4 || at + static_cast<size_t>(more) > text.size()) {
    return kReplacement;
  }
  char32_t code = first & (0x3F >> more);
  for (int i = 0; i < more; ++i) {
    const uint8_t next = byte(at + static_cast<size_t>(i));
    if ((next & 0xC0) != 0x80) return kReplacement;
    code = code << 6 | (next & 0x3F);
  }
  const char32_t least[] = {0x80, 0x800, 0x10000};
  if (code < least[more - 1] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
    return kReplacement;
  }
  at += static_cast<size_t>(more);
  return code;
}

bool is_harmful(char32_t code) {
  if (code == '\n' || code == '\t') return false;
  return code < 0x20 || (code >= 0x7F && code <= 0x9F) || (code >= 0x202A && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069) || (code & 0xFFFE) == 0xFFFE;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const char32_t code = next_character(text, at);
    if (code == kReplacement || is_harmful(code)) {
      out += "\xEF\xBF\xBD";
    } else {
      out += text.substr(begin, at - begin);
    }
  }
  return out;
}

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

Html script_json(const json::Value& value) {
  Html out;
  for (const char c : json::dump(value)) {
    switch (c) {
      case '<':
        out.text += "\\u003c";
        break;
      case '>':
        out.text += "\\u003e";
        break;
      case '&':
        out.text += "\\u0026";
        break;
      default:
        out.text += c;
    }
  }
  return out;
}

}  // namespace retort::report
