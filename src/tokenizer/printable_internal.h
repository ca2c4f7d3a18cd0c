// GPT-2's spelling of bytes as printable characters, which tokenizer.json and GGUF use.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tokenizer/tokenizer.h"

namespace retort::tokenizer {

uint32_t printable_code_point(uint8_t byte);
std::string bytes_to_printable(std::string_view bytes);
// Nothing where a character stands for no byte.
std::optional<std::string> printable_to_bytes(std::string_view text);

}  // namespace retort::tokenizer
