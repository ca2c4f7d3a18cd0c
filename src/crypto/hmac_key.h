// HMAC-SHA256 (RFC 2104) under one key that is used more than once: what depends on the key alone
// is computed once. Immutable; safe from any thread.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "crypto/hash.h"

namespace retort::crypto {

class HmacKey {
 public:
  explicit HmacKey(std::string_view key);
  // hmac_sha256(key, bytes).
  Digest of(std::string_view bytes) const;

 private:
  std::array<uint32_t, 8> inner_, outer_;  // SHA-256 after the key's block
};

}  // namespace retort::crypto
