// ECDSA on the curve P-256 with SHA-256 (FIPS 186-4) through libcrypto, for signatures of people
// and of models: what model-signing, cosign and `openssl dgst -sha256` verify. Signatures are DER
// and differ each time. Keys are immutable; all is safe from any thread.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace retort::crypto {

class EcPublicKey {
 public:
  // SubjectPublicKeyInfo, as `openssl pkey -pubout` writes it. Bad input: no such key, another
  // curve, a private key.
  static Result<EcPublicKey> from_pem(std::string_view pem, std::string_view where = "");

  const std::string& to_pem() const { return pem_; }
  // The SHA-256 of to_pem() in hex, which sigstore bundles call the key's hint.
  const std::string& id() const { return id_; }
  // False for any signature that is not right, whatever its bytes.
  bool verify(std::string_view message, std::string_view signature) const;

 private:
  friend class EcSigningKey;
  struct Impl;
  explicit EcPublicKey(std::shared_ptr<const Impl> impl);
  std::shared_ptr<const Impl> impl_;
  std::string pem_, id_;
};

class EcSigningKey {
 public:
  static Result<EcSigningKey> generate();
  // PKCS #8 or SEC 1 in PEM, as `openssl genpkey` and `openssl ecparam -genkey` write them, without
  // a passphrase.
  static Result<EcSigningKey> from_pem(std::string_view pem, std::string_view where = "");
  Result<std::string> to_pem() const;  // PKCS #8

  const EcPublicKey& public_key() const { return public_key_; }
  std::string sign(std::string_view message) const;  // at most 72 bytes

 private:
  explicit EcSigningKey(EcPublicKey public_key) : public_key_(std::move(public_key)) {}
  EcPublicKey public_key_;  // its Impl holds the private part too
};

}  // namespace retort::crypto
