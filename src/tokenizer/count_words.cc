#include <algorithm>

#include "base/parallel.h"
#include "tokenizer/bpe_trainer_internal.h"
#include "tokenizer/split_internal.h"
#include "tokenizer/word_table_internal.h"

namespace retort::tokenizer {
namespace {

// Words and counts by open addressing; grows by doubling.
class WordCounter {
 public:
  WordCounter() : slots_(1 << 12) {}

  void add(std::string_view word, uint64_t count) { add(word, hash_bytes(word), count); }
  void add(const WordCounter& other) {
    for (const Slot& slot : other.slots_) {
      if (slot.count > 0) add({slot.data, slot.size}, slot.hash, slot.count);
    }
  }
  std::vector<WordCount> take() const {
    std::vector<WordCount> out;
    out.reserve(used_);
    for (const Slot& slot : slots_) {
      if (slot.count > 0) out.push_back({{slot.data, slot.size}, slot.count});
    }
    return out;
  }

 private:
  struct Slot {
    const char* data = nullptr;
    size_t size = 0;
    uint64_t hash = 0;
    uint64_t count = 0;  // 0: free
  };

  void add(std::string_view word, uint64_t hash, uint64_t count) {
    Slot& slot = find(word, hash);
    if (slot.count > 0) {
      slot.count += count;
      return;
    }
    slot = {word.data(), word.size(), hash, count};
    if (++used_ * 2 > slots_.size()) grow();
  }
  Slot& find(std::string_view word, uint64_t hash) {
    const size_t mask = slots_.size() - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
      Slot& slot = slots_[at];
      if (slot.count == 0) return slot;
      if (slot.hash == hash && std::string_view(slot.data, slot.size) == word) return slot;
    }
  }
  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    const size_t mask = slots_.size() - 1;
    for (const Slot& slot : old) {
      if (slot.count == 0) continue;
      size_t at = slot.hash & mask;
      while (slots_[at].count > 0) at = (at + 1) & mask;
      slots_[at] = slot;
    }
  }

  std::vector<Slot> slots_;
  size_t used_ = 0;
};

// Texts cut into parts of about half a megabyte, so that threads share one long text too. A cut
// stands before a blank after a printable ASCII character, where no word goes on.
std::vector<std::string_view> cut(const std::vector<std::string_view>& texts) {
  constexpr size_t kPart = size_t{1} << 19;
  std::vector<std::string_view> parts;
  for (std::string_view text : texts) {
    while (text.size() > 2 * kPart) {
      size_t at = kPart;
      const auto is_cut = [&] {
        return text[at] == ' ' && text[at - 1] > ' ' && text[at - 1] < 0x7f;
      };
      while (at < text.size() && !is_cut()) ++at;
      parts.push_back(text.substr(0, at));
      text.remove_prefix(at);
    }
    if (!text.empty()) parts.push_back(text);
  }
  return parts;
}

}  // namespace

std::vector<WordCount> count_words(const std::vector<std::string_view>& texts, PreTokenizer pre) {
  const std::vector<std::string_view> parts = cut(texts);
  std::vector<WordCounter> counters(static_cast<size_t>(base::thread_count()));
  base::parallel_team([&](int thread, int threads) {
    WordCounter counter;
    for (size_t i = static_cast<size_t>(thread); i < parts.size();
         i += static_cast<size_t>(threads)) {
      Splitter splitter(pre, parts[i]);
      for (auto word = splitter.next(); !word.empty(); word = splitter.next()) {
        counter.add(word, 1);
      }
    }
    counters[static_cast<size_t>(thread)] = std::move(counter);
  });
  for (size_t i = 1; i < counters.size(); ++i) counters[0].add(counters[i]);
  return counters[0].take();
}

}  // namespace retort::tokenizer
