// RFC 6962 section 2.1; proof checking as in RFC 9162 sections 2.1.3.2 and 2.1.4.2.
#include "ledger/tree.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/check.h"
#include "crypto/hash_many.h"

namespace retort::ledger {
namespace {

// The largest power of two below n; n > 1.
size_t split_point(size_t n) {
  return std::bit_floor(n - 1);
}

using NodeBytes = std::array<char, 1 + 2 * sizeof(Digest)>;

NodeBytes node_bytes(const Digest& left, const Digest& right) {
  NodeBytes bytes;
  bytes[0] = 1;
  std::copy(left.begin(), left.end(), bytes.begin() + 1);
  std::copy(right.begin(), right.end(), bytes.begin() + 1 + sizeof(Digest));
  return bytes;
}

std::string_view view(const NodeBytes& bytes) {
  return {bytes.data(), bytes.size()};
}

void subproof(std::span<const Digest> leaves, size_t old_size, bool whole,
              std::vector<Digest>& proof) {
  if (old_size == leaves.size()) {
    if (!whole) proof.push_back(tree_root(leaves));
    return;
  }
  const size_t k = split_point(leaves.size());
  if (old_size <= k) {
    subproof(leaves.first(k), old_size, whole, proof);
    proof.push_back(tree_root(leaves.subspan(k)));
  } else {
    subproof(leaves.subspan(k), old_size - k, false, proof);
    proof.push_back(tree_root(leaves.first(k)));
  }
}

}  // namespace

Digest leaf_hash(std::string_view entry) {
  // A record's leaf fits: hashed at once, without memory from the heap.
  std::array<char, 128> bytes;
  if (entry.size() < bytes.size()) {
    bytes[0] = 0;
    std::copy(entry.begin(), entry.end(), bytes.begin() + 1);
    std::array<crypto::HashJob, 1> job = {
        crypto::HashJob{.text = {bytes.data(), entry.size() + 1}}};
    crypto::hash_all(job);
    return job[0].digest;
  }
  crypto::Sha256 hash;
  hash.add(std::string_view("\0", 1));
  hash.add(entry);
  return hash.finish();
}

Digest node_hash(const Digest& left, const Digest& right) {
  return crypto::sha256(view(node_bytes(left, right)));
}

// Level by level: two neighbours become one, and who has none goes up alone. That is the tree of
// RFC 6962, whose left side is always a full one.
Digest tree_root(std::span<const Digest> leaves) {
  if (leaves.empty()) return crypto::sha256("");
  std::vector<Digest> level(leaves.begin(), leaves.end());
  while (level.size() > 1) {
    const size_t pairs = level.size() / 2;
    for (size_t i = 0; i < pairs; i += 2) {
      const size_t last = std::min(i + 1, pairs - 1);  // the same once more where they are odd
      const std::array<NodeBytes, 2> nodes = {node_bytes(level[2 * i], level[2 * i + 1]),
                                              node_bytes(level[2 * last], level[2 * last + 1])};
      std::array<crypto::HashJob, 2> jobs = {crypto::HashJob{.text = view(nodes[0])},
                                             crypto::HashJob{.text = view(nodes[1])}};
      crypto::hash_all(jobs);
      level[i] = jobs[0].digest;
      level[last] = jobs[1].digest;
    }
    if (level.size() % 2 == 1) level[pairs] = level.back();
    level.resize((level.size() + 1) / 2);
  }
  return level.front();
}

std::vector<Digest> inclusion_proof(std::span<const Digest> leaves, int64_t index) {
  RETORT_CHECK(index >= 0 && index < static_cast<int64_t>(leaves.size()), "index {}", index);
  std::vector<Digest> proof;
  auto at = static_cast<size_t>(index);
  std::vector<Digest> reversed;
  while (leaves.size() > 1) {
    const size_t k = split_point(leaves.size());
    if (at < k) {
      reversed.push_back(tree_root(leaves.subspan(k)));
      leaves = leaves.first(k);
    } else {
      reversed.push_back(tree_root(leaves.first(k)));
      leaves = leaves.subspan(k);
      at -= k;
    }
  }
  return {reversed.rbegin(), reversed.rend()};
}

std::vector<Digest> consistency_proof(std::span<const Digest> leaves, int64_t old_size) {
  RETORT_CHECK(old_size > 0 && old_size <= static_cast<int64_t>(leaves.size()), "size {}",
               old_size);
  std::vector<Digest> proof;
  subproof(leaves, static_cast<size_t>(old_size), true, proof);
  return proof;
}

bool verify_inclusion(const Digest& leaf, int64_t index, const TreeHead& head,
                      std::span<const Digest> proof) {
  if (index < 0 || index >= head.size) return false;
  auto at = static_cast<uint64_t>(index);
  auto last = static_cast<uint64_t>(head.size - 1);
  Digest hash = leaf;
  for (const auto& sibling : proof) {
    if (last == 0) return false;
    if ((at & 1) != 0 || at == last) {
      hash = node_hash(sibling, hash);
      while ((at & 1) == 0 && at != 0) {
        at >>= 1;
        last >>= 1;
      }
    } else {
      hash = node_hash(hash, sibling);
    }
    at >>= 1;
    last >>= 1;
  }
  return last == 0 && hash == head.root;
}

bool verify_consistency(const TreeHead& old_head, const TreeHead& new_head,
                        std::span<const Digest> proof) {
  if (old_head.size < 1 || old_head.size > new_head.size) return false;
  if (old_head.size == new_head.size) return proof.empty() && old_head.root == new_head.root;
  std::vector<Digest> path(proof.begin(), proof.end());
  // An old tree that is a whole subtree is its own first node.
  if (std::has_single_bit(static_cast<uint64_t>(old_head.size))) {
    path.insert(path.begin(), old_head.root);
  }
  if (path.empty()) return false;
  auto at = static_cast<uint64_t>(old_head.size - 1);
  auto last = static_cast<uint64_t>(new_head.size - 1);
  while ((at & 1) != 0) {
    at >>= 1;
    last >>= 1;
  }
  Digest old_hash = path[0];
  Digest new_hash = path[0];
  for (size_t i = 1; i < path.size(); ++i) {
    if (last == 0) return false;
    if ((at & 1) != 0 || at == last) {
      old_hash = node_hash(path[i], old_hash);
      new_hash = node_hash(path[i], new_hash);
      while ((at & 1) == 0 && at != 0) {
        at >>= 1;
        last >>= 1;
      }
    } else {
      new_hash = node_hash(new_hash, path[i]);
    }
    at >>= 1;
    last >>= 1;
  }
  return last == 0 && old_hash == old_head.root && new_hash == new_head.root;
}

}  // namespace retort::ledger
