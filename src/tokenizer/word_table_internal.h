// Byte strings -> ids by open addressing. The strings belong to the caller and must outlive the
// table.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace retort::tokenizer {

inline uint64_t hash_bytes(std::string_view text) {
  constexpr uint64_t kMultiplier = 0x9e3779b97f4a7c15u;
  uint64_t hash = text.size() * kMultiplier;
  const char* at = text.data();
  size_t left = text.size();
  for (; left > 8; at += 8, left -= 8) {
    uint64_t chunk;
    std::memcpy(&chunk, at, 8);
    hash = (std::rotl(hash, 29) ^ chunk) * kMultiplier;
  }
  uint64_t chunk = 0;
  if (left >= 4) {  // two halves that may overlap: no loop over bytes
    uint32_t low, high;
    std::memcpy(&low, at, 4);
    std::memcpy(&high, at + left - 4, 4);
    chunk = uint64_t{high} << 32 | low;
  } else if (left > 0) {
    chunk = static_cast<uint8_t>(at[0]) | uint64_t{static_cast<uint8_t>(at[left / 2])} << 8 |
            uint64_t{static_cast<uint8_t>(at[left - 1])} << 16;
  }
  hash = (std::rotl(hash, 29) ^ chunk) * kMultiplier;
  return hash ^ hash >> 32;
}

class WordTable {
 public:
  // Room for `words`; once, before the first add.
  void reserve(size_t words) {
    const size_t slots = std::bit_ceil(words * 2 + 16);
    slots_.assign(slots, Slot{});
    mask_ = slots - 1;
  }
  // False when the text is there already.
  bool add(std::string_view text, TokenId id) {
    if (find(text) >= 0) return false;
    const uint64_t hash = hash_bytes(text);
    size_t slot = hash & mask_;
    while (slots_[slot].id >= 0) slot = (slot + 1) & mask_;
    slots_[slot] = {text.data(), static_cast<uint32_t>(text.size()), id, hash};
    return true;
  }
  // -1 when it is not there.
  TokenId find(std::string_view text) const {
    const uint64_t hash = hash_bytes(text);
    for (size_t slot = hash & mask_; slots_[slot].id >= 0; slot = (slot + 1) & mask_) {
      const Slot& s = slots_[slot];
      if (s.hash == hash && std::string_view(s.data, s.size) == text) return s.id;
    }
    return -1;
  }

 private:
  struct Slot {
    const char* data = nullptr;
    uint32_t size = 0;
    TokenId id = -1;
    uint64_t hash = 0;
  };
  std::vector<Slot> slots_;
  size_t mask_ = 0;
};

}  // namespace retort::tokenizer
