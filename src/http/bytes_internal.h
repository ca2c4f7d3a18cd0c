// Whether a text holds bytes that a header must not, eight at a time: hardly any does.
#pragma once
#include <cstdint>
#include <cstring>
#include <string_view>

namespace retort::http {

// Whether one of the bytes is below `limit` (at most 0x80).
inline bool any_below(std::string_view text, uint64_t limit) {
  constexpr uint64_t kEach = 0x0101010101010101, kHigh = 0x8080808080808080;
  const char* at = text.data();
  const char* const end = at + text.size();
  uint64_t found = 0;
  for (; end - at >= 8; at += 8) {
    uint64_t bytes = 0;
    std::memcpy(&bytes, at, 8);
    found |= (bytes - kEach * limit) & ~bytes;
  }
  for (; at != end; ++at) {
    if (static_cast<unsigned char>(*at) < limit) return true;
  }
  return (found & kHigh) != 0;
}

}  // namespace retort::http
