// The plain functions of libcrypto: EVP's contexts and look-ups cost more than hashing the short
// texts that leaves and nodes are.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/hash.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>

#include "base/check.h"
#include "base/files.h"
#include "crypto/hmac_key.h"

namespace retort::crypto {

namespace {

constexpr size_t kBlockBytes = SHA256_CBLOCK;

void add_to(SHA256_CTX& context, std::string_view bytes) {
  RETORT_CHECK(SHA256_Update(&context, bytes.data(), bytes.size()) == 1);
}

Digest digest_of(SHA256_CTX& context) {
  Digest digest{};
  RETORT_CHECK(SHA256_Final(digest.data(), &context) == 1);
  return digest;
}

// The state after the one block that is the key, each byte changed by `pad`.
std::array<uint32_t, 8> after_key(std::string_view key, uint8_t pad) {
  std::array<char, kBlockBytes> block{};
  std::copy(key.begin(), key.end(), block.begin());
  for (char& byte : block) byte = static_cast<char>(static_cast<uint8_t>(byte) ^ pad);
  SHA256_CTX context;
  RETORT_CHECK(SHA256_Init(&context) == 1);
  add_to(context, {block.data(), block.size()});
  std::array<uint32_t, 8> state{};
  std::copy(std::begin(context.h), std::end(context.h), state.begin());
  return state;
}

SHA256_CTX going_on_from(const std::array<uint32_t, 8>& state) {
  SHA256_CTX context;
  RETORT_CHECK(SHA256_Init(&context) == 1);
  std::copy(state.begin(), state.end(), std::begin(context.h));
  context.Nl = kBlockBytes * 8;
  return context;
}

}  // namespace

struct Sha256::Impl {
  SHA256_CTX context{};
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
  RETORT_CHECK(SHA256_Init(&impl_->context) == 1);
}
Sha256::~Sha256() = default;

void Sha256::add(std::string_view bytes) {
  add_to(impl_->context, bytes);
}

Digest Sha256::finish() {
  return digest_of(impl_->context);
}

Digest sha256(std::string_view bytes) {
  SHA256_CTX context;
  RETORT_CHECK(SHA256_Init(&context) == 1);
  add_to(context, bytes);
  return digest_of(context);
}

std::string sha256_hex(std::string_view bytes) {
  return to_hex(sha256(bytes));
}

HmacKey::HmacKey(std::string_view key) {
  const Digest hashed = key.size() > kBlockBytes ? sha256(key) : Digest{};
  const std::string_view block = key.size() > kBlockBytes ? as_bytes(hashed) : key;
  inner_ = after_key(block, 0x36);
  outer_ = after_key(block, 0x5c);
}

Digest HmacKey::of(std::string_view bytes) const {
  SHA256_CTX inner = going_on_from(inner_);
  add_to(inner, bytes);
  const Digest digest = digest_of(inner);
  SHA256_CTX outer = going_on_from(outer_);
  add_to(outer, as_bytes(digest));
  return digest_of(outer);
}

Digest hmac_sha256(std::string_view key, std::string_view bytes) {
  return HmacKey(key).of(bytes);
}

Result<std::string> sha256_file_hex(const std::string& path) {
  RETORT_TRY(const auto file, base::MappedFile::open(path));
  return sha256_hex(file.view());
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace retort::crypto
