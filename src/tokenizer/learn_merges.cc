#include <algorithm>
#include <bit>
#include <queue>
#include <unordered_map>

#include "base/cancel.h"
#include "base/check.h"
#include "tokenizer/bpe_trainer_internal.h"

namespace retort::tokenizer {
namespace {

constexpr uint32_t kNone = UINT32_MAX;

// One symbol of one distinct word; neighbours by index.
struct Symbol {
  TokenId id;  // -1 once it was merged into the one before
  uint32_t previous;
  uint32_t next;
  uint32_t word;
};

struct Pair {
  TokenId left;
  TokenId right;
  uint64_t count;                   // over the corpus, exact at any time
  uint32_t touched;                 // the last merge that added to it
  std::vector<uint32_t> positions;  // of left symbols; some may have changed since
};

struct Candidate {
  uint64_t count;
  uint64_t key;  // left id << 32 | right id
  uint32_t pair;
  // The heap's top: the most frequent, of equals the one of lowest ids.
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : key > other.key;
  }
};

uint64_t pair_key(TokenId left, TokenId right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

// Pair -> its number, by open addressing.
class PairIndex {
 public:
  PairIndex() : slots_(1 << 16) {}
  // The number of a pair; `fresh` for one that was not there.
  uint32_t find_or_add(uint64_t key, uint32_t fresh) {
    size_t at = slot_of(key);
    while (slots_[at].key != kFree) {
      if (slots_[at].key == key) return slots_[at].pair;
      at = (at + 1) & (slots_.size() - 1);
    }
    slots_[at] = {key, fresh};
    if (++used_ * 2 > slots_.size()) grow();
    return fresh;
  }

 private:
  static constexpr uint64_t kFree = UINT64_MAX;
  struct Slot {
    uint64_t key = kFree;
    uint32_t pair = 0;
  };
  size_t slot_of(uint64_t key) const {
    return static_cast<size_t>((key * 0x9e3779b97f4a7c15u) >>
                               (64 - std::countr_zero(slots_.size())));
  }
  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.key == kFree) continue;
      size_t at = slot_of(slot.key);
      while (slots_[at].key != kFree) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = slot;
    }
  }

  std::vector<Slot> slots_;
  size_t used_ = 0;
};

class Learner {
 public:
  Learner(const std::vector<WordCount>& words, const std::array<TokenId, 256>& byte_ids,
          const MergeLimits& limits);
  LearntMerges run();

 private:
  Pair& pair(TokenId left, TokenId right) {
    const auto fresh = static_cast<uint32_t>(pairs_.size());
    const uint32_t index = index_.find_or_add(pair_key(left, right), fresh);
    if (index == fresh) pairs_.push_back({left, right, 0, kNone, {}});
    return pairs_[index];
  }
  void add(TokenId left, TokenId right, uint32_t at);
  void remove(TokenId left, TokenId right, uint32_t at) {
    pair(left, right).count -= weights_[symbols_[at].word];
  }
  void push(uint32_t index);
  TokenId token_for(const Pair& pair);
  void merge(uint32_t index, TokenId merged);
  void merge_at(uint32_t at, TokenId right, TokenId merged);

  MergeLimits limits_;
  std::vector<Symbol> symbols_;
  std::vector<uint64_t> weights_;  // by word
  std::vector<Pair> pairs_;
  PairIndex index_;
  std::priority_queue<Candidate> heap_;
  std::vector<uint32_t> touched_;  // pairs that the running merge added to
  uint32_t round_ = 0;
  std::unordered_map<TokenId, std::string> spellings_;
  std::unordered_map<std::string, TokenId> ids_;
  LearntMerges learnt_;
};

Learner::Learner(const std::vector<WordCount>& words, const std::array<TokenId, 256>& byte_ids,
                 const MergeLimits& limits)
    : limits_(limits) {
  for (size_t byte = 0; byte < 256; ++byte) {
    const std::string spelling(1, static_cast<char>(byte));
    spellings_[byte_ids[byte]] = spelling;
    ids_[spelling] = byte_ids[byte];
  }
  uint64_t total = 0;
  for (const WordCount& word : words) total += word.word.size();
  RETORT_CHECK(total <= kMostSymbols, "{} symbols", total);
  symbols_.reserve(total);
  weights_.reserve(words.size());
  for (const WordCount& word : words) {
    const auto number = static_cast<uint32_t>(weights_.size());
    weights_.push_back(word.count);
    const auto first = static_cast<uint32_t>(symbols_.size());
    for (size_t i = 0; i < word.word.size(); ++i) {
      const auto at = static_cast<uint32_t>(first + i);
      symbols_.push_back({byte_ids[static_cast<uint8_t>(word.word[i])], i > 0 ? at - 1 : kNone,
                          i + 1 < word.word.size() ? at + 1 : kNone, number});
    }
  }
  for (uint32_t at = 0; at < symbols_.size(); ++at) {
    const Symbol& symbol = symbols_[at];
    if (symbol.next != kNone) add(symbol.id, symbols_[symbol.next].id, at);
  }
  for (const uint32_t index : touched_) push(index);
}

void Learner::add(TokenId left, TokenId right, uint32_t at) {
  Pair& found = pair(left, right);
  found.count += weights_[symbols_[at].word];
  found.positions.push_back(at);
  if (found.touched == round_) return;
  found.touched = round_;
  touched_.push_back(static_cast<uint32_t>(&found - pairs_.data()));
}

void Learner::push(uint32_t index) {
  const Pair& p = pairs_[index];
  if (p.count >= limits_.min_count) heap_.push({p.count, pair_key(p.left, p.right), index});
}

TokenId Learner::token_for(const Pair& pair) {
  std::string spelling = spellings_[pair.left] + spellings_[pair.right];
  const auto id = limits_.first_new_id + static_cast<TokenId>(learnt_.tokens.size());
  const auto [found, is_new] = ids_.emplace(spelling, id);
  if (is_new) {
    spellings_[id] = spelling;
    learnt_.tokens.push_back(std::move(spelling));
  }
  return found->second;
}

void Learner::merge_at(uint32_t at, TokenId right, TokenId merged) {
  Symbol& symbol = symbols_[at];
  const TokenId left = symbol.id;
  Symbol& second = symbols_[symbol.next];
  const uint32_t before = symbol.previous;
  const uint32_t after = second.next;
  if (before != kNone) {
    remove(symbols_[before].id, left, before);
    add(symbols_[before].id, merged, before);
  }
  if (after != kNone) {
    remove(right, symbols_[after].id, after);
    add(merged, symbols_[after].id, at);
    symbols_[after].previous = at;
  }
  symbol.id = merged;
  symbol.next = after;
  second.id = -1;
}

void Learner::merge(uint32_t index, TokenId merged) {
  ++round_;
  touched_.clear();
  const TokenId left = pairs_[index].left;
  const TokenId right = pairs_[index].right;
  std::vector<uint32_t> positions = std::move(pairs_[index].positions);
  // Runs of one symbol (aaa) merge from the left; other pairs cannot overlap.
  if (left == right) std::sort(positions.begin(), positions.end());
  for (const uint32_t at : positions) {
    const Symbol& symbol = symbols_[at];
    if (symbol.id != left || symbol.next == kNone || symbols_[symbol.next].id != right) continue;
    merge_at(at, right, merged);
  }
  pairs_[index].count = 0;
  pairs_[index].positions = {};
  for (const uint32_t changed : touched_) push(changed);
}

LearntMerges Learner::run() {
  while (static_cast<int64_t>(learnt_.tokens.size()) < limits_.new_tokens && !heap_.empty()) {
    if (base::cancelled()) break;  // the caller looks, too, and throws the rest away
    const Candidate top = heap_.top();
    heap_.pop();
    const Pair& best = pairs_[top.pair];
    if (top.count != best.count) {
      // It lost some since; what it gained was pushed then.
      if (top.count > best.count) push(top.pair);
      continue;
    }
    const TokenId merged = token_for(best);
    learnt_.merges.emplace_back(best.left, best.right);
    merge(top.pair, merged);
  }
  return std::move(learnt_);
}

}  // namespace

LearntMerges learn_merges(const std::vector<WordCount>& words,
                          const std::array<TokenId, 256>& byte_ids, const MergeLimits& limits) {
  return Learner(words, byte_ids, limits).run();
}

}  // namespace retort::tokenizer
