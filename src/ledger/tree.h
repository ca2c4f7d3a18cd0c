// The Merkle tree of RFC 6962 (leaf 0x00, node 0x01, SHA-256), as pure functions. Safe from any
// thread.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "crypto/hash.h"

namespace retort::ledger {

using crypto::Digest;

Digest leaf_hash(std::string_view entry);
Digest node_hash(const Digest& left, const Digest& right);
// Of no leaves: the SHA-256 of nothing.
Digest tree_root(std::span<const Digest> leaves);

// index < leaves.size(); 0 < old_size <= leaves.size().
std::vector<Digest> inclusion_proof(std::span<const Digest> leaves, int64_t index);
std::vector<Digest> consistency_proof(std::span<const Digest> leaves, int64_t old_size);

// What a proof is about.
struct TreeHead {
  int64_t size = 0;
  Digest root{};
};
// For proofs from outside: false for anything that does not prove it, whatever the bytes.
bool verify_inclusion(const Digest& leaf, int64_t index, const TreeHead& head,
                      std::span<const Digest> proof);
bool verify_consistency(const TreeHead& old_head, const TreeHead& new_head,
                        std::span<const Digest> proof);

}  // namespace retort::ledger
