// Bytes of a text eight at a time.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>

namespace retort::json {

inline constexpr uint64_t kEach = 0x0101010101010101;
inline constexpr uint64_t kHigh = 0x8080808080808080;

// The high bit of each of eight bytes that is below `limit`; what stands above the lowest such bit
// may be wrong, since the subtraction borrows. limit <= 0x80.
inline uint64_t below(uint64_t bytes, uint64_t limit) {
  return (bytes - kEach * limit) & ~bytes & kHigh;
}

// The same for bytes that end a plain stretch of a string: a quote, a backslash or a control.
inline uint64_t specials(uint64_t bytes) {
  return below(bytes, 0x20) | below(bytes ^ (kEach * '"'), 1) | below(bytes ^ (kEach * '\\'), 1);
}

// The first byte of the eight is the lowest.
static_assert(std::endian::native == std::endian::little);

// The first byte from `at` that is special, or for which `other` has its high bit set.
template <class Other>
const char* find_special(const char* at, const char* end, Other other) {
  for (; end - at >= 8; at += 8) {
    uint64_t bytes = 0;
    std::memcpy(&bytes, at, 8);
    const uint64_t found = specials(bytes) | other(bytes);
    if (found != 0) return at + std::countr_zero(found) / 8;
  }
  for (; at != end; ++at) {
    const auto byte = static_cast<unsigned char>(*at);
    if (byte < 0x20 || byte == '"' || byte == '\\' || (other(byte) & kHigh) != 0) break;
  }
  return at;
}

}  // namespace retort::json
