// Bytes that may be no text, made fit to print. Pure; safe from any thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace retort::openai {

// The length of the UTF-8 character that `text` begins with; 0 when it begins with none.
size_t utf8_length(std::string_view text);
bool is_utf8(std::string_view text);
// Characters (code points) of valid UTF-8.
int64_t count_characters(std::string_view text);

// At most `limit_bytes` of the text, cut at a border, control characters as blanks, broken bytes as
// U+FFFD.
std::string printable(std::string_view text, size_t limit_bytes);
// "\xe2\x80" for bytes that are no text, as OpenAI spells tokens that end inside a character.
std::string hex_escaped(std::string_view bytes);

}  // namespace retort::openai
