// Interpolated modified Kneser-Ney n-grams over token ids: the baseline that a student has to beat.
// Source: Chen and Goodman 1998, "An Empirical Study of Smoothing Techniques for Language
// Modeling", sections 4.1.6 and 7.2 (three discounts an order, from counts of counts). The lowest
// order is interpolated with the uniform distribution over the vocabulary. Documents are padded on
// the left with begin marks that are never predicted. Immutable after train(); then safe from any
// thread.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace retort::evaluate {

struct Discounts {
  double one = 0, two = 0, more = 0;  // subtracted from counts of 1, of 2, of 3 and more
};

// From the number of n-grams seen once to four times. Where these cannot be estimated (a count of
// counts is zero, or a discount leaves its count's range) the fixed 0.5, 1, 1.5 stand in.
Discounts discounts_from(const int64_t (&counts_of_counts)[4]);

class KneserNey {
 public:
  static constexpr int kOrder = 5;

  // Ids in [0, vocab); anything else is bad input. One document an element.
  static Result<KneserNey> train(const std::vector<std::vector<int32_t>>& documents, int64_t vocab);

  // Natural log of p(token | context); of `context` the last kOrder - 1 ids count, and a shorter
  // one begins the document.
  double log_probability(std::span<const int32_t> context, int32_t token) const;

  const Discounts& discounts(int order) const {
    return levels_[static_cast<size_t>(order)].discounts;
  }
  int64_t ngrams(int order) const;  // different n-grams of an order that were seen

 private:
  // What follows one context: the sum of its counts, and how many continuations have count 1, 2,
  // 3+.
  struct Context {
    int64_t total = 0;
    int64_t with[3] = {0, 0, 0};
  };
  // An n-gram of level n is a node with parent (its first n - 1 tokens) and last token.
  struct Node {
    uint64_t key = 0;  // parent and token, plus one; 0 is an empty place
    uint32_t id = 0;
  };
  struct Level {
    std::vector<Node> table;        // open addressing, a power of two
    std::vector<int64_t> counts;    // by node id
    std::vector<Context> contexts;  // by node id: what follows the node
    Discounts discounts;
  };

  explicit KneserNey(int64_t vocab) : vocab_(vocab) {}
  void count_document(const std::vector<int32_t>& document);
  uint32_t descend(std::span<const int32_t> gram);
  int64_t find(std::span<const int32_t> gram) const;
  void count(std::span<const int32_t> gram);
  void summarise();

  int64_t vocab_;
  Level levels_[kOrder + 1];  // [n]: n-grams; [0] holds the empty context as node 0
};

}  // namespace retort::evaluate
