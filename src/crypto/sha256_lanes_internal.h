// The SHA-256 instructions of x86, for one or two texts at once.
#pragma once
#include <cstddef>
#include <cstdint>

namespace retort::crypto {

// The next blocks of one text. The state is that of FIPS 180-4, H0 to H7.
struct Lane {
  uint32_t* state;
  const uint8_t* data;
};

bool has_sha256_lanes();
// `blocks` blocks of 64 bytes of each; both pointers of a lane stay as they are. Only where
// has_sha256_lanes().
void compress_one(const Lane& lane, size_t blocks);
void compress_two(const Lane& first, const Lane& second, size_t blocks);

}  // namespace retort::crypto
