// Ed25519 signatures (RFC 8032) through libcrypto. Keys are 32 bytes; signing is deterministic.
#pragma once
#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace retort::crypto {

using PublicKey = std::array<uint8_t, 32>;

class SigningKey {
 public:
  static Result<SigningKey> generate();
  static Result<SigningKey> from_seed(std::string_view seed);  // 32 bytes
  // PKCS #8 in PEM, as openssl genpkey -algorithm ed25519 writes it.
  static Result<SigningKey> from_pem(std::string_view pem, std::string_view where = "");
  Result<std::string> to_pem() const;

  const PublicKey& public_key() const { return public_key_; }
  std::string sign(std::string_view message) const;  // 64 bytes

 private:
  struct Impl;
  SigningKey(std::shared_ptr<Impl> impl, PublicKey public_key)
      : impl_(std::move(impl)), public_key_(public_key) {}
  std::shared_ptr<Impl> impl_;
  PublicKey public_key_;
};

// False for any signature that is not right, whatever its bytes.
bool verify(const PublicKey& key, std::string_view message, std::string_view signature);

}  // namespace retort::crypto
