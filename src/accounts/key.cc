#include "accounts/key.h"

#include <array>

#include "base/random.h"

namespace retort::accounts {
namespace {

constexpr std::string_view kLetters = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr size_t kSecretBytes = 20;  // 160 bits
constexpr size_t kSecretLetters = 32;
constexpr size_t kChecksumLetters = 6;

// Five bits a letter, most significant first; the number of bits is a multiple of five.
std::string to_letters(std::string_view bytes, size_t letters) {
  std::string out;
  uint32_t held = 0;
  int bits = 0;
  size_t next = 0;
  while (out.size() < letters) {
    if (bits < 5) {
      held = held << 8 | static_cast<uint8_t>(bytes[next++]);
      bits += 8;
    }
    bits -= 5;
    out += kLetters[held >> bits & 31];
  }
  return out;
}

std::string random_letters(size_t letters) {
  std::array<char, kSecretBytes> bytes{};
  base::secure_random(bytes.data(), bytes.size());
  return to_letters({bytes.data(), bytes.size()}, letters);
}

std::string prefix_of(KeyKind kind) {
  return std::string("rt_") + name(kind) + "_";
}

std::string checksum(std::string_view body) {
  const auto digest = crypto::sha256(body);
  return to_letters(crypto::as_bytes(digest), kChecksumLetters);
}

}  // namespace

const char* name(KeyKind kind) {
  return kind == KeyKind::api ? "api" : "admin";
}

std::string make_key(KeyKind kind) {
  const std::string body = prefix_of(kind) + random_letters(kSecretLetters);
  return body + checksum(body);
}

std::optional<KeyKind> parse_key(std::string_view key) {
  for (const auto kind : {KeyKind::api, KeyKind::admin}) {
    const std::string prefix = prefix_of(kind);
    if (!key.starts_with(prefix) ||
        key.size() != prefix.size() + kSecretLetters + kChecksumLetters) {
      continue;
    }
    const auto body = key.substr(0, prefix.size() + kSecretLetters);
    if (body.find_first_not_of(kLetters, prefix.size()) != std::string_view::npos) return {};
    if (key.substr(body.size()) != checksum(body)) return {};
    return kind;
  }
  return {};
}

crypto::Digest hash_key(std::string_view key) {
  return crypto::sha256(key);
}

std::string make_id(std::string_view prefix) {
  return std::string(prefix) + random_letters(16);
}

}  // namespace retort::accounts
