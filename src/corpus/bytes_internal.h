// Numbers as little-endian bytes.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace retort::corpus {

inline void put(std::string& out, uint64_t value, int bytes) {
  std::array<char, 8> little{};
  for (size_t i = 0; i < little.size(); ++i) little[i] = static_cast<char>(value >> (8 * i) & 255);
  out.append(little.data(), static_cast<size_t>(bytes));
}

// All `count` bytes from `at` on must be there.
inline uint64_t number_at(std::string_view bytes, size_t at, size_t count) {
  uint64_t value = 0;
  for (size_t i = count; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

}  // namespace retort::corpus
