#include <fmt/core.h>

#include <algorithm>
#include <bit>

#include "ledger/nodes_internal.h"

namespace retort::ledger {
namespace {

int64_t split_point(int64_t n) {
  return static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(n - 1)));
}

}  // namespace

Result<Nodes> Nodes::open(store::Database& database) {
  RETORT_TRY(auto get, database.prepare("SELECT hash FROM nodes WHERE level = ?1 AND idx = ?2"));
  RETORT_TRY(auto put, database.prepare("INSERT INTO nodes VALUES (?1, ?2, ?3)"));
  RETORT_TRY(auto run, database.prepare("SELECT hash FROM nodes WHERE level = ?1 AND idx >= ?2 "
                                        "AND idx < ?3 ORDER BY idx"));
  return Nodes(std::move(get), std::move(put), std::move(run));
}

Result<std::string> Nodes::run(int level, int64_t begin, int64_t end) {
  std::string out;
  run_.bind(1, int64_t{level}).bind(2, begin).bind(3, end);
  while (true) {
    RETORT_TRY(const bool row, run_.step());
    if (!row) break;
    out += run_.blob(0);
  }
  if (out.size() == static_cast<size_t>(end - begin) * sizeof(Digest)) return out;
  return base::storage_error("the log lacks a hash", fmt::format("level {}, from {}", level, begin),
                             "check it with: retort ledger verify");
}

Result<Digest> Nodes::node(int level, int64_t index) {
  RETORT_TRY(const bool found, get_.bind(1, int64_t{level}).bind(2, index).step());
  Digest digest{};
  const auto bytes = found ? get_.blob(0) : std::string_view{};
  const bool good = bytes.size() == digest.size();
  if (good) std::copy(bytes.begin(), bytes.end(), digest.begin());
  get_.reset();
  if (!good) {
    return base::storage_error("the log lacks a hash", fmt::format("level {}, {}", level, index),
                               "check it with: retort ledger verify");
  }
  return digest;
}

Result<void> Nodes::append(int64_t size, const Digest& leaf) {
  Digest hash = leaf;
  int level = 0;
  int64_t index = size;
  while (true) {
    RETORT_TRY_VOID(
        put_.bind(1, int64_t{level}).bind(2, index).bind_blob(3, crypto::as_bytes(hash)).run());
    if ((index & 1) == 0) return {};
    RETORT_TRY(const auto left, node(level, index - 1));
    hash = node_hash(left, hash);
    index >>= 1;
    ++level;
  }
}

// The hash over leaves [begin, end) of a subtree that begins there.
Result<Digest> Nodes::range(int64_t begin, int64_t end) {
  const int64_t count = end - begin;
  if (std::has_single_bit(static_cast<uint64_t>(count))) {
    const int level = std::countr_zero(static_cast<uint64_t>(count));
    return node(level, begin >> level);
  }
  const int64_t middle = begin + split_point(count);
  RETORT_TRY(const auto left, range(begin, middle));
  RETORT_TRY(const auto right, range(middle, end));
  return node_hash(left, right);
}

Result<Digest> Nodes::root(int64_t size) {
  if (size == 0) return tree_root({});
  return range(0, size);
}

Result<std::vector<Digest>> Nodes::prove_inclusion(int64_t index, int64_t size) {
  std::vector<Digest> proof;
  int64_t begin = 0;
  int64_t end = size;
  while (end - begin > 1) {
    const int64_t middle = begin + split_point(end - begin);
    const bool in_left = index < middle;
    RETORT_TRY(const auto sibling, in_left ? range(middle, end) : range(begin, middle));
    proof.push_back(sibling);
    (in_left ? end : begin) = middle;
  }
  std::reverse(proof.begin(), proof.end());
  return proof;
}

Result<void> Nodes::subproof(int64_t begin, int64_t end, int64_t old_end, bool whole,
                             std::vector<Digest>& proof) {
  if (old_end == end) {
    if (whole) return {};
    RETORT_TRY(const auto hash, range(begin, end));
    proof.push_back(hash);
    return {};
  }
  const int64_t middle = begin + split_point(end - begin);
  const bool in_left = old_end <= middle;
  RETORT_TRY_VOID(in_left ? subproof(begin, middle, old_end, whole, proof)
                          : subproof(middle, end, old_end, false, proof));
  RETORT_TRY(const auto other, in_left ? range(middle, end) : range(begin, middle));
  proof.push_back(other);
  return {};
}

Result<std::vector<Digest>> Nodes::prove_consistency(int64_t old_size, int64_t size) {
  std::vector<Digest> proof;
  RETORT_TRY_VOID(subproof(0, size, old_size, true, proof));
  return proof;
}

}  // namespace retort::ledger
