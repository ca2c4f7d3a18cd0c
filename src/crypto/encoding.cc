#include <fmt/core.h>

#include "crypto/hash.h"

namespace retort::crypto {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Error not_base64() {
  return base::bad_input("not valid base64");
}

}  // namespace

std::string_view as_bytes(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

std::string to_hex(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    out += kHex[static_cast<uint8_t>(c) >> 4];
    out += kHex[static_cast<uint8_t>(c) & 15];
  }
  return out;
}

std::string to_hex(const Digest& digest) {
  return to_hex(as_bytes(digest));
}

Result<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return base::bad_input("hexadecimal text of odd length");
  std::string out;
  out.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return base::bad_input("not hexadecimal digits");
    out += static_cast<char>(high * 16 + low);
  }
  return out;
}

Result<Digest> digest_from_hex(std::string_view text) {
  RETORT_TRY(const auto bytes, from_hex(text));
  Digest digest{};
  if (bytes.size() != digest.size()) {
    return base::bad_input(fmt::format("a digest has 64 hexadecimal digits, not {}", text.size()));
  }
  std::copy(bytes.begin(), bytes.end(), digest.begin());
  return digest;
}

std::string to_base64(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t word = 0;
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k) {
      word = word << 8 | (k < count ? static_cast<uint8_t>(bytes[i + k]) : 0u);
    }
    for (size_t k = 0; k < 4; ++k) {
      out += k <= count ? kBase64[word >> (18 - 6 * k) & 63] : '=';
    }
  }
  return out;
}

Result<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return not_base64();
  std::string out;
  out.reserve(text.size() / 4 * 3);
  for (size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    size_t count = 3;
    if (last && text[i + 3] == '=') count = text[i + 2] == '=' ? 1 : 2;
    uint32_t word = 0;
    for (size_t k = 0; k < 4; ++k) {
      const size_t value = k <= count ? kBase64.find(text[i + k]) : 0;
      if (value == std::string_view::npos) return not_base64();
      word = word << 6 | static_cast<uint32_t>(value);
    }
    // Strict: the bits that are left over must be zero, so that a text has one spelling.
    if (count < 3 && (word & ((1u << (24 - 8 * count)) - 1)) != 0) return not_base64();
    for (size_t k = 0; k < count; ++k) out += static_cast<char>(word >> (16 - 8 * k) & 255);
  }
  return out;
}

}  // namespace retort::crypto
