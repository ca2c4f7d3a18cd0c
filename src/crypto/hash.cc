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
#include "crypto/sha256_lanes_internal.h"

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

// The key's block, each byte changed by `pad`.
std::array<uint8_t, kBlockBytes> padded(std::string_view key, uint8_t pad) {
  std::array<uint8_t, kBlockBytes> block{};
  std::copy(key.begin(), key.end(), block.begin());
  for (auto& byte : block) byte ^= pad;
  return block;
}

void compress_reference(const Lane& lane) {
  SHA256_CTX context{};
  std::copy_n(lane.state, 8, std::begin(context.h));
  SHA256_Transform(&context, lane.data);
  std::copy_n(std::begin(context.h), 8, lane.state);
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

HmacKey::HmacKey(std::string_view key) : inner_(empty_hash_state()), outer_(empty_hash_state()) {
  const Digest hashed = key.size() > kBlockBytes ? sha256(key) : Digest{};
  const std::string_view block = key.size() > kBlockBytes ? as_bytes(hashed) : key;
  const auto inner = padded(block, 0x36);
  const auto outer = padded(block, 0x5c);
  const Lane first{inner_.words.data(), inner.data()};
  const Lane second{outer_.words.data(), outer.data()};
  if (has_sha256_lanes()) {
    compress_two(first, second, 1);
  } else {
    compress_reference(first);
    compress_reference(second);
  }
  inner_.bytes = outer_.bytes = kBlockBytes;
}

Digest HmacKey::of(std::string_view bytes) const {
  std::array<HashJob, 1> job = {inner(bytes)};
  hash_all(job);
  const Digest of_inner = job[0].digest;
  job[0] = outer(of_inner);
  hash_all(job);
  return job[0].digest;
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
