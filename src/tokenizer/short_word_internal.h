// Words of up to 15 bytes as two integers, the length in the top byte: equal words are equal
// numbers, so that a look-up compares without following a pointer. A table of the vocabulary's own
// words, and a cache of what other words were merged into.
#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace retort::tokenizer {

struct ShortWord {
  static constexpr size_t kMostBytes = 15;
  uint64_t low = 0;
  uint64_t high = 0;  // 0 only for no word

  bool operator==(const ShortWord&) const = default;
  uint64_t hash() const {
    const uint64_t mixed = (low ^ std::rotl(high, 23) * 0xff51afd7ed558ccdu) * 0x9e3779b97f4a7c15u;
    return mixed ^ mixed >> 32;
  }
};

// `readable`: how many bytes from the word's start belong to the text; with 16 it is one load.
inline ShortWord short_word(std::string_view word, size_t readable) {
  ShortWord out;
  if (readable >= 16) {
    std::memcpy(&out.low, word.data(), 8);
    std::memcpy(&out.high, word.data() + 8, 8);
    const auto bits = static_cast<uint32_t>(word.size() * 8);
    if (bits < 64) {
      out.low &= (uint64_t{1} << bits) - 1;
      out.high = 0;
    } else {
      out.high &= (uint64_t{1} << (bits - 64)) - 1;
    }
  } else {
    std::array<char, 16> bytes{};
    std::memcpy(bytes.data(), word.data(), word.size());
    std::memcpy(&out.low, bytes.data(), 8);
    std::memcpy(&out.high, bytes.data() + 8, 8);
  }
  out.high |= uint64_t{word.size()} << 56;
  return out;
}

class ShortWordTable {
 public:
  // Room for `words`; once, before the first add.
  void reserve(size_t words) { slots_.assign(std::bit_ceil(words * 2 + 16), Slot{}); }
  void add(std::string_view word, TokenId id) {
    const ShortWord key = short_word(word, word.size());
    size_t at = key.hash() & (slots_.size() - 1);
    while (slots_[at].id >= 0) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = {key, id};
  }
  // -1 when it is not there.
  TokenId find(const ShortWord& key, uint64_t hash) const {
    const size_t mask = slots_.size() - 1;
    for (size_t at = hash & mask; slots_[at].id >= 0; at = (at + 1) & mask) {
      if (slots_[at].key == key) return slots_[at].id;
    }
    return -1;
  }

 private:
  struct Slot {
    ShortWord key;
    TokenId id = -1;
  };
  std::vector<Slot> slots_;
};

// One a thread, shared by all tokenizers, which tell their entries apart by a number of their own.
class MergedWordCache {
 public:
  struct Entry {
    static constexpr size_t kMostIds = 5;
    ShortWord key;
    uint32_t owner = 0;  // 0: free
    uint32_t size = 0;
    std::array<TokenId, kMostIds> ids{};
  };

  static MergedWordCache& of_this_thread() {
    thread_local MergedWordCache cache;
    return cache;
  }
  Entry& at(uint64_t hash, uint32_t owner) {
    return entries_[(hash ^ owner * 0x9e3779b9u) & (kEntries - 1)];
  }

 private:
  static constexpr size_t kEntries = 8192;
  MergedWordCache() : entries_(kEntries) {}
  std::vector<Entry> entries_;
};

}  // namespace retort::tokenizer
