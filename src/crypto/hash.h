// SHA-256 and HMAC (libcrypto), hexadecimal and base64. Pure; safe from any thread.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace retort::crypto {

using Digest = std::array<uint8_t, 32>;

Digest sha256(std::string_view bytes);
std::string sha256_hex(std::string_view bytes);
Digest hmac_sha256(std::string_view key, std::string_view bytes);
// Of a file's bytes, read piece by piece.
Result<std::string> sha256_file_hex(const std::string& path);

// Piece by piece: sha256(a + b) == add(a), add(b), finish().
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void add(std::string_view bytes);
  Digest finish();  // once

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

std::string_view as_bytes(const Digest& digest);
std::string to_hex(std::string_view bytes);
std::string to_hex(const Digest& digest);
// Lower or upper case; an odd length or another character is bad input.
Result<std::string> from_hex(std::string_view text);
Result<Digest> digest_from_hex(std::string_view text);

// The standard alphabet with padding (RFC 4648, section 4); decoding is strict.
std::string to_base64(std::string_view bytes);
Result<std::string> from_base64(std::string_view text);

// Takes the same time wherever the texts differ.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace retort::crypto
