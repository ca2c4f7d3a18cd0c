#include "crypto/ecdsa.h"

#include <openssl/ec.h>
#include <openssl/pem.h>

#include "base/check.h"
#include "crypto/hash.h"
#include "crypto/openssl_internal.h"

namespace retort::crypto {
namespace {

constexpr std::string_view kCurve = "prime256v1";  // libcrypto's name of P-256

bool on_p256(EVP_PKEY* key) {
  char name[32];
  size_t size = 0;
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
         EVP_PKEY_get_group_name(key, name, sizeof name, &size) == 1 &&
         std::string_view(name, size) == kCurve;
}

Error other_curve(std::string_view where) {
  return base::bad_input("the key is not an ECDSA key on the curve P-256", std::string(where),
                         "make one with: openssl genpkey -algorithm EC -pkeyopt "
                         "ec_paramgen_curve:P-256 -out key.pem");
}

}  // namespace

struct EcPublicKey::Impl {
  OpensslPointer<EVP_PKEY> key;
};

EcPublicKey::EcPublicKey(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {
  const OpensslPointer<BIO> bio(BIO_new(BIO_s_mem()));
  RETORT_CHECK(PEM_write_bio_PUBKEY(bio.get(), impl_->key.get()) == 1);
  pem_ = written(bio.get());
  id_ = sha256_hex(pem_);
}

Result<EcPublicKey> EcPublicKey::from_pem(std::string_view pem, std::string_view where) {
  const auto bio = reader(pem);
  OpensslPointer<EVP_PKEY> key(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key) {
    return base::bad_input("not a public key in PEM", std::string(where),
                           "write it with: openssl pkey -in key.pem -pubout -out key.pub");
  }
  if (!on_p256(key.get())) return other_curve(where);
  return EcPublicKey(std::make_shared<const Impl>(Impl{std::move(key)}));
}

bool EcPublicKey::verify(std::string_view message, std::string_view signature) const {
  const OpensslPointer<EVP_MD_CTX> context(EVP_MD_CTX_new());
  return EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, impl_->key.get()) ==
             1 &&
         EVP_DigestVerify(context.get(), as_unsigned(signature), signature.size(),
                          as_unsigned(message), message.size()) == 1;
}

Result<EcSigningKey> EcSigningKey::generate() {
  OpensslPointer<EVP_PKEY> key(EVP_EC_gen("P-256"));
  if (!key) return base::internal_error("libcrypto cannot make a key on the curve P-256");
  return EcSigningKey(
      EcPublicKey(std::make_shared<const EcPublicKey::Impl>(EcPublicKey::Impl{std::move(key)})));
}

Result<EcSigningKey> EcSigningKey::from_pem(std::string_view pem, std::string_view where) {
  const auto bio = reader(pem);
  OpensslPointer<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key) {
    return base::bad_input("not a private key in PEM without a passphrase", std::string(where),
                           "make one with: openssl genpkey -algorithm EC -pkeyopt "
                           "ec_paramgen_curve:P-256 -out key.pem");
  }
  if (!on_p256(key.get())) return other_curve(where);
  return EcSigningKey(
      EcPublicKey(std::make_shared<const EcPublicKey::Impl>(EcPublicKey::Impl{std::move(key)})));
}

Result<std::string> EcSigningKey::to_pem() const {
  const OpensslPointer<BIO> bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), public_key_.impl_->key.get(), nullptr, nullptr, 0,
                                    nullptr, nullptr) != 1) {
    return base::internal_error("libcrypto cannot write the key as PEM");
  }
  return written(bio.get());
}

std::string EcSigningKey::sign(std::string_view message) const {
  const OpensslPointer<EVP_MD_CTX> context(EVP_MD_CTX_new());
  auto* key = public_key_.impl_->key.get();
  size_t size = 0;
  RETORT_CHECK(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key) == 1);
  RETORT_CHECK(
      EVP_DigestSign(context.get(), nullptr, &size, as_unsigned(message), message.size()) == 1);
  std::string signature(size, '\0');
  RETORT_CHECK(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()),
                              &size, as_unsigned(message), message.size()) == 1);
  signature.resize(size);
  return signature;
}

}  // namespace retort::crypto
