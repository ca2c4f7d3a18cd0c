#include "curate/near.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "base/check.h"

namespace retort::curate {
namespace {

constexpr double kRounding = 1e-9;

// The least number of shared elements that a similarity of t needs (Xiao et al. 2008, eq. 1).
size_t needed_overlap(double t, size_t a, size_t b) {
  return static_cast<size_t>(std::ceil(t / (1 + t) * static_cast<double>(a + b) - kRounding));
}

size_t overlap(const Shingles& a, std::span<const uint32_t> b) {
  size_t shared = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const uint32_t left = a[i];
    const uint32_t right = b[j];
    shared += left == right ? 1 : 0;
    i += left <= right ? 1 : 0;
    j += right <= left ? 1 : 0;
  }
  return shared;
}

}  // namespace

void Frequencies::add(const Shingles& set) {
  for (const uint32_t shingle : set) {
    uint16_t& count = counts_[slot(shingle)];
    if (count < UINT16_MAX) ++count;
  }
}

NearIndex::NearIndex(const Frequencies& frequencies, double threshold)
    : frequencies_(frequencies), threshold_(threshold), starts_{0}, buckets_(1024) {
  RETORT_CHECK(threshold > 0 && threshold <= 1, "threshold {}", threshold);
}

size_t NearIndex::prefix_length(size_t size) const {
  const double must = std::ceil(threshold_ * static_cast<double>(size) - kRounding);
  return size - static_cast<size_t>(must) + 1;
}

void NearIndex::order_prefix(const Shingles& set) {
  order_.clear();
  for (const uint32_t shingle : set) {
    order_.push_back(uint64_t{frequencies_.of(shingle)} << 32 | shingle);
  }
  const size_t prefix = prefix_length(set.size());
  const auto middle = order_.begin() + static_cast<std::ptrdiff_t>(prefix);
  std::nth_element(order_.begin(), middle - 1, order_.end());
  std::sort(order_.begin(), middle);
  order_.resize(prefix);
}

NearIndex::Bucket& NearIndex::bucket(uint32_t shingle) {
  const size_t mask = buckets_.size() - 1;
  size_t at = (shingle * 0x85ebca6bU) & mask;
  while (buckets_[at].first != kNone && buckets_[at].shingle != shingle) at = (at + 1) & mask;
  return buckets_[at];
}

void NearIndex::grow() {
  std::vector<Bucket> old(buckets_.size() * 2);
  old.swap(buckets_);
  for (const Bucket& one : old) {
    if (one.first != kNone) bucket(one.shingle) = one;
  }
}

bool NearIndex::near(const Shingles& set, uint32_t other, uint32_t position,
                     uint32_t other_position) const {
  const size_t size = set.size();
  const size_t other_size = starts_[other + 1] - starts_[other];
  const auto smaller = static_cast<double>(std::min(size, other_size));
  const auto larger = static_cast<double>(std::max(size, other_size));
  if (smaller + kRounding < threshold_ * larger) return false;
  const size_t needed = needed_overlap(threshold_, size, other_size);
  // This is their first shared shingle in the order of rarity: no more can be shared than are left.
  if (std::min(size - position, other_size - other_position) < needed) return false;
  return overlap(set, std::span(flat_).subspan(starts_[other], other_size)) >= needed;
}

void NearIndex::find_all(const Shingles& set, base::FunctionRef<bool(int64_t)> visit) {
  if (set.empty()) return;
  order_prefix(set);
  ++search_;
  for (uint32_t position = 0; position < order_.size(); ++position) {
    const Bucket& found = bucket(static_cast<uint32_t>(order_[position]));
    for (uint32_t at = found.first; at != kNone; at = postings_[at].next) {
      const Posting& posting = postings_[at];
      if (looked_at_[posting.set] == search_) continue;
      looked_at_[posting.set] = search_;
      if (near(set, posting.set, position, posting.position) && !visit(posting.set)) return;
    }
  }
}

int64_t NearIndex::find(const Shingles& set) {
  int64_t first = -1;
  find_all(set, [&](int64_t number) {
    if (first < 0 || number < first) first = number;
    return true;
  });
  return first;
}

void NearIndex::add(const Shingles& set) {
  const auto number = static_cast<uint32_t>(size());
  flat_.insert(flat_.end(), set.begin(), set.end());
  starts_.push_back(flat_.size());
  looked_at_.push_back(0);
  if (set.empty()) return;
  order_prefix(set);
  for (uint32_t position = 0; position < order_.size(); ++position) {
    if (2 * (used_buckets_ + 1) > buckets_.size()) grow();
    const auto shingle = static_cast<uint32_t>(order_[position]);
    Bucket& into = bucket(shingle);
    const auto at = static_cast<uint32_t>(postings_.size());
    postings_.push_back({number, position, kNone});
    if (into.first == kNone) {
      into = {shingle, at, at};
      ++used_buckets_;
    } else {
      postings_[into.last].next = at;
      into.last = at;
    }
  }
}

}  // namespace retort::curate
