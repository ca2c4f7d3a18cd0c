#include "tokenizer/bpe_internal.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <queue>

namespace retort::tokenizer {
namespace {

// Positions are 32 bits; a longer word is merged in parts.
constexpr size_t kLongestWord = size_t{1} << 30;

}  // namespace

void MergeTable::reserve(size_t merges) {
  const size_t slots = std::bit_ceil(std::max<size_t>(merges * 2, 16));
  entries_.assign(slots, Entry{});
  mask_ = slots - 1;
  shift_ = 64 - std::countr_zero(slots);
}

void MergeTable::add(TokenId left, TokenId right, uint32_t rank, TokenId merged) {
  const uint64_t key = make_key(left, right);
  size_t slot = slot_of(key);
  while (entries_[slot].key != kEmpty) {
    if (entries_[slot].key == key) return;
    slot = (slot + 1) & mask_;
  }
  entries_[slot] = {key, rank, merged};
}

void Bpe::merge_word(std::string_view word, std::vector<TokenId>& out) const {
  if (word.size() <= kShortWord) {
    ShortIds ids;
    size_t size = 0;
    for (const char c : word) {
      const TokenId id = byte_ids[static_cast<uint8_t>(c)];
      if (id >= 0) ids[size++] = id;
    }
    return merge_short(ids, size, out);
  }
  std::vector<TokenId> ids;
  ids.reserve(word.size());
  for (const char c : word) {
    const TokenId id = byte_ids[static_cast<uint8_t>(c)];
    if (id >= 0) ids.push_back(id);
  }
  merge_ids(ids, out);
}

void Bpe::merge_ids(std::span<const TokenId> ids, std::vector<TokenId>& out) const {
  if (ids.size() <= kShortWord) {
    ShortIds few;
    std::copy(ids.begin(), ids.end(), few.begin());
    return merge_short(few, ids.size(), out);
  }
  for (size_t at = 0; at < ids.size(); at += kLongestWord) {
    merge_long(ids.subspan(at, std::min(kLongestWord, ids.size() - at)), out);
  }
}

void Bpe::merge_short(ShortIds& ids, size_t size, std::vector<TokenId>& out) const {
  std::array<MergeTable::Entry, kShortWord> pairs;  // pairs[i]: of ids[i] and ids[i + 1]
  if (size == 0) return;
  for (size_t i = 0; i + 1 < size; ++i) pairs[i] = merges.find(ids[i], ids[i + 1]);
  while (size > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < size; ++i) {
      if (pairs[i].rank < pairs[best].rank) best = i;
    }
    if (pairs[best].rank == kNoRank) break;
    ids[best] = pairs[best].merged;
    for (size_t i = best + 1; i + 1 < size; ++i) {
      ids[i] = ids[i + 1];
      pairs[i] = pairs[i + 1];
    }
    --size;
    if (best > 0) pairs[best - 1] = merges.find(ids[best - 1], ids[best]);
    if (best + 1 < size) pairs[best] = merges.find(ids[best], ids[best + 1]);
  }
  out.insert(out.end(), ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(size));
}

void Bpe::merge_long(std::span<const TokenId> ids, std::vector<TokenId>& out) const {
  // A doubly linked list over the symbols; pair[i].rank belongs to symbol i and the one after it. A
  // heap entry (rank, position) is stale when the rank no longer stands at the position.
  struct Symbol {
    TokenId id;
    uint32_t previous, next;
    uint32_t rank;
    TokenId merged;
  };
  std::vector<Symbol> symbols;
  symbols.reserve(ids.size());
  for (const TokenId id : ids) {
    const auto at = static_cast<uint32_t>(symbols.size());
    symbols.push_back({id, at - 1, at + 1, kNoRank, -1});
  }
  const auto end = static_cast<uint32_t>(symbols.size());
  const auto key = [](uint32_t rank, uint32_t at) { return uint64_t{rank} << 32 | at; };
  const auto look_up = [&](uint32_t at) {
    Symbol& symbol = symbols[at];
    const MergeTable::Entry entry =
        symbol.next < end ? merges.find(symbol.id, symbols[symbol.next].id) : MergeTable::Entry{};
    symbol.rank = entry.rank;
    symbol.merged = entry.merged;
    return entry.rank != kNoRank;
  };

  std::vector<uint64_t> first;
  for (uint32_t i = 0; i + 1 < end; ++i) {
    if (look_up(i)) first.push_back(key(symbols[i].rank, i));
  }
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> heap(std::greater<>{},
                                                                            std::move(first));
  while (!heap.empty()) {
    const auto rank = static_cast<uint32_t>(heap.top() >> 32);
    const auto at = static_cast<uint32_t>(heap.top());
    heap.pop();
    Symbol& symbol = symbols[at];
    if (symbol.rank != rank) continue;
    symbol.id = symbol.merged;
    Symbol& gone = symbols[symbol.next];
    gone.rank = kNoRank;
    symbol.next = gone.next;
    if (symbol.next < end) symbols[symbol.next].previous = at;
    if (look_up(at)) heap.push(key(symbol.rank, at));
    if (at > 0) {
      const uint32_t before = symbol.previous;
      if (look_up(before)) heap.push(key(symbols[before].rank, before));
    }
  }
  for (uint32_t at = 0; at < end; at = symbols[at].next) out.push_back(symbols[at].id);
}

}  // namespace retort::tokenizer
