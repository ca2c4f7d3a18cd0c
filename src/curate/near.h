// Near copies among sets of shingles, exactly: all pairs whose Jaccard similarity reaches the
// threshold are found, none is guessed. Prefix filtering (Bayardo, Ma, Srikant 2007, "Scaling up
// all pairs similarity search"; Xiao et al. 2008, PPJoin): two sets that similar must share one of
// their rarest shingles, so only those are indexed. One thread.
#pragma once
#include <cstdint>
#include <vector>

#include "base/parallel.h"
#include "curate/words.h"

namespace retort::curate {

// How often each shingle occurs, roughly: a table of counters by hash. Any fixed order of shingles
// makes the search exact; rarest first makes it fast.
class Frequencies {
 public:
  Frequencies() : counts_(kSize) {}
  void add(const Shingles& set);
  uint32_t of(uint32_t shingle) const { return counts_[slot(shingle)]; }

 private:
  static constexpr size_t kSize = size_t{1} << 20;
  static size_t slot(uint32_t shingle) { return (shingle * 0x9e3779b1U) >> 12; }
  std::vector<uint16_t> counts_;
};

class NearIndex {
 public:
  // `frequencies` outlives the index and does not change. threshold in (0, 1].
  NearIndex(const Frequencies& frequencies, double threshold);

  // The first set added that is near to this one, or -1. Empty sets are near to nothing.
  int64_t find(const Shingles& set);
  // Calls visit(number) for each set that is near, until it returns false.
  void find_all(const Shingles& set, base::FunctionRef<bool(int64_t)> visit);
  // Its number is the count of sets added before.
  void add(const Shingles& set);
  int64_t size() const { return static_cast<int64_t>(starts_.size()) - 1; }

 private:
  struct Posting {
    uint32_t set;
    uint32_t position;  // in the order of rarity
    uint32_t next;      // the same shingle's next posting, kNone at the end
  };
  struct Bucket {
    uint32_t shingle = 0;
    uint32_t first = kNone;
    uint32_t last = kNone;
  };
  static constexpr uint32_t kNone = UINT32_MAX;

  size_t prefix_length(size_t size) const;
  // The rarest shingles of the set, rarest first.
  void order_prefix(const Shingles& set);
  Bucket& bucket(uint32_t shingle);
  void grow();
  bool near(const Shingles& set, uint32_t other, uint32_t position, uint32_t other_position) const;

  const Frequencies& frequencies_;
  double threshold_;
  std::vector<uint32_t> flat_;    // all sets, one after the other, each sorted
  std::vector<uint64_t> starts_;  // where each begins; one more at the end
  std::vector<Bucket> buckets_;   // open addressing, a power of two
  size_t used_buckets_ = 0;
  std::vector<Posting> postings_;
  std::vector<uint32_t> looked_at_;  // by set: the search that saw it last
  uint32_t search_ = 0;
  std::vector<uint64_t> order_;  // scratch: frequency and shingle of the set in hand
};

}  // namespace retort::curate
