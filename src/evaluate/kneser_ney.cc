#include "evaluate/kneser_ney.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/random.h"

namespace retort::evaluate {
namespace {

constexpr int32_t kBegin = -1;  // the mark in front of a document
constexpr size_t kFirstTable = 1024;

// Tokens are shifted by one for the begin mark, keys by one so that 0 means empty.
uint64_t key_of(uint32_t parent, int32_t token) {
  return ((static_cast<uint64_t>(parent) << 32) | static_cast<uint32_t>(token + 1)) + 1;
}

size_t count_class(int64_t count) {
  return count >= 3 ? 2 : static_cast<size_t>(count - 1);
}

double discount(const Discounts& d, int64_t count) {
  const double by_class[3] = {d.one, d.two, d.more};
  return by_class[count_class(count)];
}

template <class Node>
size_t place_of(const std::vector<Node>& table, uint64_t key) {
  size_t at = base::mix64(key) & (table.size() - 1);
  while (table[at].key != 0 && table[at].key != key) at = (at + 1) & (table.size() - 1);
  return at;
}

template <class Node>
void grow(std::vector<Node>& table) {
  std::vector<Node> larger(std::max(kFirstTable, table.size() * 2));
  for (const Node& node : table) {
    if (node.key != 0) larger[place_of(larger, node.key)] = node;
  }
  table = std::move(larger);
}

}  // namespace

Discounts discounts_from(const int64_t (&counts_of_counts)[4]) {
  const Discounts fixed{0.5, 1.0, 1.5};
  double n[4];
  for (int i = 0; i < 4; ++i) {
    if (counts_of_counts[i] <= 0) return fixed;
    n[i] = static_cast<double>(counts_of_counts[i]);
  }
  const double y = n[0] / (n[0] + 2 * n[1]);
  const Discounts d{1 - 2 * y * n[1] / n[0], 2 - 3 * y * n[2] / n[1], 3 - 4 * y * n[3] / n[2]};
  const bool usable =
      d.one > 0 && d.one <= 1 && d.two > 0 && d.two <= 2 && d.more > 0 && d.more <= 3;
  return usable ? d : fixed;
}

Result<KneserNey> KneserNey::train(const std::vector<std::vector<int32_t>>& documents,
                                   int64_t vocab) {
  RETORT_CHECK(vocab > 0 && vocab < INT32_MAX);
  KneserNey model(vocab);
  for (Level& level : model.levels_) grow(level.table);
  model.levels_[0].counts.assign(1, 0);
  for (const auto& document : documents) {
    for (const int32_t token : document) {
      if (token < 0 || token >= vocab) {
        return base::bad_input(
            fmt::format("token {} is outside the vocabulary of {}", token, vocab));
      }
    }
    model.count_document(document);
  }
  model.summarise();
  return model;
}

void KneserNey::count_document(const std::vector<int32_t>& document) {
  std::vector<int32_t> padded(kOrder - 1, kBegin);
  padded.insert(padded.end(), document.begin(), document.end());
  for (size_t end = kOrder; end <= padded.size(); ++end) {
    count(std::span(padded).subspan(end - kOrder, kOrder));
  }
}

// Counts one n-gram. The first sight of an n-gram is one more left neighbour of the gram without
// its first token, which is what lower orders count.
void KneserNey::count(std::span<const int32_t> gram) {
  const uint32_t node = descend(gram);
  const bool first = levels_[gram.size()].counts[node]++ == 0;
  if (first && gram.size() > 1) count(gram.subspan(1));
}

// The node of a gram, made together with those of its beginnings when it is new.
uint32_t KneserNey::descend(std::span<const int32_t> gram) {
  uint32_t parent = 0;
  for (size_t n = 1; n <= gram.size(); ++n) {
    Level& level = levels_[n];
    if (level.counts.size() * 2 >= level.table.size()) grow(level.table);
    const uint64_t key = key_of(parent, gram[n - 1]);
    Node& node = level.table[place_of(level.table, key)];
    if (node.key == 0) {
      node = {key, static_cast<uint32_t>(level.counts.size())};
      level.counts.push_back(0);
    }
    parent = node.id;
  }
  return parent;
}

int64_t KneserNey::find(std::span<const int32_t> gram) const {
  uint32_t parent = 0;
  for (size_t n = 1; n <= gram.size(); ++n) {
    const Level& level = levels_[n];
    const Node& node = level.table[place_of(level.table, key_of(parent, gram[n - 1]))];
    if (node.key == 0) return -1;
    parent = node.id;
  }
  return parent;
}

void KneserNey::summarise() {
  for (size_t n = 1; n <= kOrder; ++n) {
    Level& level = levels_[n];
    std::vector<Context>& contexts = levels_[n - 1].contexts;
    contexts.assign(levels_[n - 1].counts.size(), {});
    int64_t counts_of_counts[4] = {0, 0, 0, 0};
    for (const Node& node : level.table) {
      const int64_t count = node.key == 0 ? 0 : level.counts[node.id];
      if (count == 0) continue;  // empty, or seen as a context alone
      if (count <= 4) ++counts_of_counts[count - 1];
      Context& context = contexts[(node.key - 1) >> 32];
      context.total += count;
      ++context.with[count_class(count)];
    }
    level.discounts = discounts_from(counts_of_counts);
  }
}

double KneserNey::log_probability(std::span<const int32_t> context, int32_t token) const {
  RETORT_CHECK(token >= 0 && token < vocab_, "token {} of {}", token, vocab_);
  int32_t gram[kOrder];
  std::fill(gram, gram + kOrder, kBegin);
  const size_t known = std::min<size_t>(context.size(), kOrder - 1);
  std::copy(context.end() - static_cast<std::ptrdiff_t>(known), context.end(),
            gram + kOrder - 1 - known);
  gram[kOrder - 1] = token;
  double p = 1.0 / static_cast<double>(vocab_);
  for (size_t n = 1; n <= kOrder; ++n) {
    const std::span<const int32_t> whole(gram + kOrder - n, n);
    const int64_t before = find(whole.first(n - 1));
    if (before < 0) break;  // a longer context is unknown too
    const Context& seen = levels_[n - 1].contexts[static_cast<size_t>(before)];
    if (seen.total == 0) continue;
    const Discounts& d = levels_[n].discounts;
    const double kept_back = d.one * static_cast<double>(seen.with[0]) +
                             d.two * static_cast<double>(seen.with[1]) +
                             d.more * static_cast<double>(seen.with[2]);
    const int64_t node = find(whole);
    const int64_t count = node < 0 ? 0 : levels_[n].counts[static_cast<size_t>(node)];
    const double own = count == 0 ? 0 : static_cast<double>(count) - discount(d, count);
    p = (own + kept_back * p) / static_cast<double>(seen.total);
  }
  return std::log(p);
}

int64_t KneserNey::ngrams(int order) const {
  const auto& counts = levels_[static_cast<size_t>(order)].counts;
  return std::count_if(counts.begin(), counts.end(), [](int64_t count) { return count > 0; });
}

}  // namespace retort::evaluate
