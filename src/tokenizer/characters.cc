#include <utf8proc.h>

#include <vector>

#include "tokenizer/characters_internal.h"

namespace retort::tokenizer {
namespace {

constexpr uint32_t kCodePoints = 0x110000;

struct Range {
  uint32_t first, last;
  CharClass klass;
};

// Letters and numbers that Unicode 15.1, 16 and 17 added: utf8proc 2.8 stands at 15.0, while the
// peers whose ids ours must equal are newer.
constexpr Range kNewer[] = {
    {0x1c89, 0x1c8a, CharClass::letter},   {0xa7cb, 0xa7cd, CharClass::letter},
    {0xa7da, 0xa7dc, CharClass::letter},   {0x105c0, 0x105f3, CharClass::letter},
    {0x10d40, 0x10d49, CharClass::number}, {0x10d4a, 0x10d65, CharClass::letter},
    {0x10d6f, 0x10d85, CharClass::letter}, {0x10ec2, 0x10ec4, CharClass::letter},
    {0x11380, 0x11389, CharClass::letter}, {0x1138b, 0x1138b, CharClass::letter},
    {0x1138e, 0x1138e, CharClass::letter}, {0x11390, 0x113b5, CharClass::letter},
    {0x113b7, 0x113b7, CharClass::letter}, {0x113d1, 0x113d1, CharClass::letter},
    {0x113d3, 0x113d3, CharClass::letter}, {0x116d0, 0x116e3, CharClass::number},
    {0x11bc0, 0x11be0, CharClass::letter}, {0x11bf0, 0x11bf9, CharClass::number},
    {0x11de0, 0x11de9, CharClass::number}, {0x13460, 0x143fa, CharClass::letter},
    {0x16100, 0x1611d, CharClass::letter}, {0x16130, 0x16139, CharClass::number},
    {0x16d40, 0x16d6c, CharClass::letter}, {0x16d70, 0x16d79, CharClass::number},
    {0x16ff4, 0x16ff6, CharClass::number}, {0x18cff, 0x18cff, CharClass::letter},
    {0x1ccf0, 0x1ccf9, CharClass::number}, {0x1e5d0, 0x1e5ed, CharClass::letter},
    {0x1e5f0, 0x1e5f0, CharClass::letter}, {0x1e5f1, 0x1e5fa, CharClass::number},
    {0x2ebf0, 0x2ee5d, CharClass::letter},
};

CharClass class_of(uint32_t code_point) {
  if ((code_point >= 0x09 && code_point <= 0x0d) || code_point == 0x85) return CharClass::space;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return CharClass::letter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return CharClass::number;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return CharClass::space;
    default:
      return CharClass::other;
  }
}

std::vector<CharClass> build_table() {
  std::vector<CharClass> table(kCodePoints);
  for (uint32_t c = 0; c < kCodePoints; ++c) table[c] = class_of(c);
  for (const Range& range : kNewer) {
    for (uint32_t c = range.first; c <= range.last; ++c) table[c] = range.klass;
  }
  return table;
}

// The code point at text[at] and its length, or length 0 where the bytes are not UTF-8 (RFC 3629:
// no overlong forms, no surrogates, nothing above U+10FFFF).
uint32_t decode(std::string_view text, size_t at, uint32_t& length) {
  const auto byte = [&](size_t i) -> uint32_t {
    return at + i < text.size() ? static_cast<uint8_t>(text[at + i]) : 0;
  };
  const auto tail = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const uint32_t lead = byte(0);
  length = 0;
  if (lead < 0x80) {
    length = 1;
    return lead;
  }
  if (lead >= 0xc2 && lead <= 0xdf && tail(1)) {
    length = 2;
    return (lead & 0x1f) << 6 | (byte(1) & 0x3f);
  }
  if ((lead & 0xf0) == 0xe0 && tail(1) && tail(2)) {
    const uint32_t code = (lead & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f);
    if (code >= 0x800 && (code < 0xd800 || code > 0xdfff)) length = 3;
    return code;
  }
  if (lead >= 0xf0 && lead <= 0xf4 && tail(1) && tail(2) && tail(3)) {
    const uint32_t code =
        (lead & 0x07) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 | (byte(3) & 0x3f);
    if (code >= 0x10000 && code < kCodePoints) length = 4;
    return code;
  }
  return 0;
}

}  // namespace

const CharClass* class_table() {
  static const std::vector<CharClass> table = build_table();
  return table.data();
}

Character decode_slow(const CharClass* table, std::string_view text, size_t at) {
  uint32_t length = 0;
  const uint32_t code_point = decode(text, at, length);
  if (length == 0) return {CharClass::other, 1};
  return {table[code_point], length};
}

bool is_valid_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    uint32_t length = 0;
    decode(text, at, length);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

}  // namespace retort::tokenizer
