// Chat template texts compared without what does not change their meaning.
#pragma once
#include <string>
#include <string_view>

#include "base/ascii.h"

namespace retort::tokenizer {

// Of names and numbers.
constexpr bool is_word(char c) {
  return base::is_alnum(c) || c == '_';
}

// White space in tags, the kind of quotes, the spelling of a line break in a string, message.role
// for message['role'], comments, and white space between tags that trimming (the - of a tag, and
// transformers' trim_blocks and lstrip_blocks) removes: all brought to one form. Other texts stay
// different.
std::string plain_template(std::string_view text);

}  // namespace retort::tokenizer
