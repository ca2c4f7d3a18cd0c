// The merges of a vocabulary as flat tables, and the merging of one word.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace retort::tokenizer {

constexpr uint32_t kNoRank = UINT32_MAX;

// (left id, right id) -> rank and merged id: open addressing, one cache line a look-up.
class MergeTable {
 public:
  struct Entry {
    uint64_t key = kEmpty;
    uint32_t rank = kNoRank;
    TokenId merged = -1;
  };

  void reserve(size_t merges);
  // A pair that is there already keeps its rank.
  void add(TokenId left, TokenId right, uint32_t rank, TokenId merged);
  // rank kNoRank where the pair does not merge.
  Entry find(TokenId left, TokenId right) const {
    const uint64_t key = make_key(left, right);
    for (size_t slot = slot_of(key);; slot = (slot + 1) & mask_) {
      const Entry& entry = entries_[slot];
      if (entry.key == key) return entry;
      if (entry.key == kEmpty) return {};
    }
  }

 private:
  static constexpr uint64_t kEmpty = UINT64_MAX;
  static uint64_t make_key(TokenId left, TokenId right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }
  size_t slot_of(uint64_t key) const {
    return static_cast<size_t>((key * 0x9e3779b97f4a7c15u) >> shift_);
  }

  std::vector<Entry> entries_;
  size_t mask_ = 0;
  int shift_ = 0;
};

// What merging needs: byte -> id (-1: no token), and the merges.
struct Bpe {
  std::array<TokenId, 256> byte_ids;
  MergeTable merges;

  // Appends the ids of one word: always the pair of lowest rank first, the leftmost of equals.
  // Short words by looking through all pairs, long ones by a heap: O(n log n).
  void merge_word(std::string_view word, std::vector<TokenId>& out) const;
  // The same from the ids of any first symbols.
  void merge_ids(std::span<const TokenId> ids, std::vector<TokenId>& out) const;

 private:
  // Above this the heap is cheaper than looking through all pairs (measured between 24 and 64).
  static constexpr size_t kShortWord = 32;
  using ShortIds = std::array<TokenId, kShortWord>;
  void merge_short(ShortIds& ids, size_t size, std::vector<TokenId>& out) const;
  void merge_long(std::span<const TokenId> ids, std::vector<TokenId>& out) const;
};

}  // namespace retort::tokenizer
