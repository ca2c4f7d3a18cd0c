// Characters as the pre-tokenizers see them: UTF-8 decoding that never fails, and four classes from
// Unicode's general categories. Bytes that are not UTF-8 are one character each, of class other.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace retort::tokenizer {

// \p{L}, \p{N}, \s (the White_Space property), and the rest.
enum class CharClass : uint8_t { other, letter, number, space };

struct Character {
  CharClass klass;
  uint32_t size_bytes;
};

// One entry a code point, built at first use.
const CharClass* class_table();

// The character that starts at text[at]; `at` is inside the text.
Character decode_slow(const CharClass* table, std::string_view text, size_t at);

inline Character character_at(const CharClass* table, std::string_view text, size_t at) {
  const auto byte = static_cast<uint8_t>(text[at]);
  if (byte < 0x80) return {table[byte], 1};
  return decode_slow(table, text, at);
}

bool is_valid_utf8(std::string_view text);

}  // namespace retort::tokenizer
