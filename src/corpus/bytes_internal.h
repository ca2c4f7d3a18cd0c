// Numbers as little-endian bytes.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace retort::corpus {

inline void put(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 255);
}

// All `count` bytes from `at` on must be there.
inline uint64_t number_at(std::string_view bytes, size_t at, size_t count) {
  uint64_t value = 0;
  for (size_t i = count; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

}  // namespace retort::corpus
