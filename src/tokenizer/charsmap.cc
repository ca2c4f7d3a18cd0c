#include "tokenizer/charsmap_internal.h"

#include <fmt/core.h>

namespace retort::tokenizer {
namespace {

// A cell of darts-clone's double array: label in the low 8 bits, whether a rule ends here in bit 8,
// then the distance to its children, in units of 256 where bit 9 is set. A cell that holds a value
// has bit 31 set instead.
uint32_t label_of(uint32_t cell) {
  return cell & (uint32_t{1} << 31 | 0xff);
}
bool ends_rule(uint32_t cell) {
  return (cell >> 8 & 1) != 0;
}
uint32_t children_of(uint32_t cell) {
  return cell >> 10 << ((cell & uint32_t{1} << 9) >> 6);
}
uint32_t value_of(uint32_t cell) {
  return cell & 0x7fffffff;
}

uint32_t number_at(std::string_view bytes, size_t at) {
  uint32_t number = 0;
  for (size_t i = 4; i-- > 0;) number = number << 8 | static_cast<uint8_t>(bytes[at + i]);
  return number;
}

}  // namespace

Result<Charsmap> Charsmap::parse(std::string_view compiled) {
  const auto refused = [&](const char* what) {
    return base::bad_input(
        fmt::format("precompiled_charsmap of {} bytes is damaged: {}", compiled.size(), what));
  };
  if (compiled.size() < 4) return refused("it has no size");
  const size_t array_bytes = number_at(compiled, 0);
  compiled.remove_prefix(4);
  if (array_bytes > compiled.size()) return refused("its rules are longer than it is");
  if (array_bytes == 0 || array_bytes % 4 != 0) return refused("its rules are no whole cells");
  Charsmap made;
  made.array_.reserve(array_bytes / 4);
  for (size_t at = 0; at < array_bytes; at += 4) made.array_.push_back(number_at(compiled, at));
  made.texts_ = compiled.substr(array_bytes);
  return made;
}

std::string_view Charsmap::text_at(uint32_t offset) const {
  if (offset >= texts_.size()) return {};
  const std::string_view rest = std::string_view(texts_).substr(offset);
  return rest.substr(0, rest.find('\0'));
}

Charsmap::Rule Charsmap::longest(std::string_view text) const {
  Rule found;
  uint32_t at = children_of(array_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    at ^= byte;
    if (at >= array_.size() || label_of(array_[at]) != byte) break;
    const uint32_t cell = array_[at];
    at ^= children_of(cell);
    if (at >= array_.size()) break;
    if (ends_rule(cell)) found = {text_at(value_of(array_[at])), i + 1};
  }
  return found;
}

}  // namespace retort::tokenizer
