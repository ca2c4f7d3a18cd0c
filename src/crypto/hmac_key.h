// HMAC-SHA256 (RFC 2104) under one key that is used more than once: what depends on the key alone
// is computed once. Immutable; safe from any thread.
#pragma once
#include <string_view>

#include "crypto/hash.h"
#include "crypto/hash_many.h"

namespace retort::crypto {

class HmacKey {
 public:
  explicit HmacKey(std::string_view key);
  // hmac_sha256(key, bytes).
  Digest of(std::string_view bytes) const;

  // The same in two steps, so that several are done by hash_all() at once: the digest of
  // outer(the digest of inner(bytes)). The key and the digest must still be there then.
  HashJob inner(std::string_view bytes) const { return {&inner_, bytes, {}}; }
  HashJob outer(const Digest& of_inner) const { return {&outer_, as_bytes(of_inner), {}}; }

 private:
  HashState inner_, outer_;  // SHA-256 after the key's block
};

}  // namespace retort::crypto
