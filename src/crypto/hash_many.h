// SHA-256 and HMAC of several texts that do not wait for each other. Where the processor has
// instructions for SHA-256, two texts are hashed side by side: one alone waits for its own results
// half of the time. The same digests everywhere. Pure; safe from any thread.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "crypto/hash.h"

namespace retort::crypto {

// What is left of a text of whole blocks (64 bytes) after it was hashed.
struct HashState {
  std::array<uint32_t, 8> words{};
  uint64_t bytes = 0;
};
const HashState& empty_hash_state();

// Digest of what `after` stands for, followed by `text`. Both must still be there in hash_all().
struct HashJob {
  const HashState* after = &empty_hash_state();
  std::string_view text{};
  Digest digest{};
};
// Fills in each digest. It is fastest where a long text comes before several short ones.
void hash_all(std::span<HashJob> jobs);
// The same by libcrypto alone.
void hash_all_reference(std::span<HashJob> jobs);

}  // namespace retort::crypto
