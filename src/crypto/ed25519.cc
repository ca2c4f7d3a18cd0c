#include "crypto/ed25519.h"

#include <openssl/pem.h>

#include "base/check.h"
#include "base/random.h"
#include "crypto/openssl_internal.h"

namespace retort::crypto {
namespace {

constexpr size_t kKeyBytes = 32;
constexpr size_t kSignatureBytes = 64;

}  // namespace

struct SigningKey::Impl {
  explicit Impl(EVP_PKEY* pkey) : key(pkey) {}
  ~Impl() { EVP_PKEY_free(key); }
  EVP_PKEY* key;
};

Result<SigningKey> SigningKey::from_seed(std::string_view seed) {
  if (seed.size() != kKeyBytes) return base::bad_input("an Ed25519 seed has 32 bytes");
  EVP_PKEY* pkey =
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, as_unsigned(seed), seed.size());
  if (pkey == nullptr) return base::internal_error("libcrypto cannot make an Ed25519 key");
  auto impl = std::make_shared<Impl>(pkey);
  PublicKey public_key{};
  size_t size = public_key.size();
  RETORT_CHECK(EVP_PKEY_get_raw_public_key(pkey, public_key.data(), &size) == 1);
  return SigningKey(std::move(impl), public_key);
}

Result<SigningKey> SigningKey::generate() {
  std::array<char, kKeyBytes> seed{};
  base::secure_random(seed.data(), seed.size());
  return from_seed({seed.data(), seed.size()});
}

Result<SigningKey> SigningKey::from_pem(std::string_view pem, std::string_view where) {
  const auto bio = reader(pem);
  EVP_PKEY* pkey = PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr);
  if (pkey == nullptr) {
    return base::bad_input("not a private key in PEM", std::string(where),
                           "restore it from a backup; a new key cannot continue the same log");
  }
  auto impl = std::make_shared<Impl>(pkey);
  std::array<unsigned char, kKeyBytes> seed{};
  size_t size = seed.size();
  if (EVP_PKEY_id(pkey) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_private_key(pkey, seed.data(), &size) != 1) {
    return base::bad_input("the private key is not an Ed25519 key", std::string(where));
  }
  return from_seed({reinterpret_cast<const char*>(seed.data()), seed.size()});
}

Result<std::string> SigningKey::to_pem() const {
  const OpensslPointer<BIO> bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), impl_->key, nullptr, nullptr, 0, nullptr, nullptr) !=
      1) {
    return base::internal_error("libcrypto cannot write the key as PEM");
  }
  return written(bio.get());
}

std::string SigningKey::sign(std::string_view message) const {
  const OpensslPointer<EVP_MD_CTX> context(EVP_MD_CTX_new());
  std::string signature(kSignatureBytes, '\0');
  size_t size = signature.size();
  RETORT_CHECK(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, impl_->key) == 1);
  RETORT_CHECK(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()),
                              &size, as_unsigned(message), message.size()) == 1);
  return signature;
}

bool verify(const PublicKey& key, std::string_view message, std::string_view signature) {
  if (signature.size() != kSignatureBytes) return false;
  EVP_PKEY* pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size());
  if (pkey == nullptr) return false;
  const OpensslPointer<EVP_MD_CTX> context(EVP_MD_CTX_new());
  const bool good = EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, pkey) == 1 &&
                    EVP_DigestVerify(context.get(), as_unsigned(signature), signature.size(),
                                     as_unsigned(message), message.size()) == 1;
  EVP_PKEY_free(pkey);
  return good;
}

}  // namespace retort::crypto
