#include "accounts/account.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace retort::accounts {
namespace {

// All addresses as 16 bytes: IPv4 as ::ffff:a.b.c.d, so that a client that came over a dual-stack
// socket is the same client.
struct Block {
  std::array<uint8_t, 16> bytes{};
  int bits = 128;
};

std::optional<std::array<uint8_t, 16>> parse_address(const std::string& text, bool& is_v4) {
  std::array<uint8_t, 16> out{};
  is_v4 = ::inet_pton(AF_INET, text.c_str(), out.data() + 12) == 1;
  if (is_v4) {
    out[10] = out[11] = 0xff;
    return out;
  }
  if (::inet_pton(AF_INET6, text.c_str(), out.data()) == 1) return out;
  return {};
}

std::optional<Block> parse_block(std::string_view text) {
  const size_t slash = text.find('/');
  bool is_v4 = false;
  const auto bytes = parse_address(std::string(text.substr(0, slash)), is_v4);
  if (!bytes) return {};
  Block block{*bytes, 128};
  if (slash == std::string_view::npos) return block;
  const auto digits = text.substr(slash + 1);
  int bits = -1;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size()) return {};
  if (bits < 0 || bits > (is_v4 ? 32 : 128)) return {};
  block.bits = is_v4 ? bits + 96 : bits;
  return block;
}

bool same_prefix(const Block& block, const std::array<uint8_t, 16>& address) {
  for (int bit = 0; bit < block.bits; bit += 8) {
    const int left = std::min(8, block.bits - bit);
    const int mask = 0xff << (8 - left) & 0xff;
    const auto byte = static_cast<size_t>(bit / 8);
    if ((block.bytes[byte] & mask) != (address[byte] & mask)) return false;
  }
  return true;
}

}  // namespace

const char* name(Training training) {
  switch (training) {
    case Training::forbidden:
      return "forbidden";
    case Training::non_competing:
      return "non-competing";
    case Training::allowed:
      return "allowed";
  }
  return "";
}

std::optional<Training> parse_training(std::string_view text) {
  for (const auto one : {Training::forbidden, Training::non_competing, Training::allowed}) {
    if (text == name(one)) return one;
  }
  return {};
}

const char* name(State state) {
  switch (state) {
    case State::active:
      return "active";
    case State::suspended:
      return "suspended";
    case State::closed:
      return "closed";
  }
  return "";
}

bool opens(const Key& key, int64_t now_ms) {
  const auto over = [now_ms](int64_t end_ms) { return end_ms != 0 && end_ms <= now_ms; };
  return !over(key.ends_ms) && !over(key.limits.expires_ms);
}

bool address_allowed(const std::vector<std::string>& blocks, std::string_view address) {
  if (blocks.empty()) return true;
  bool is_v4 = false;
  const auto bytes = parse_address(std::string(address), is_v4);
  if (!bytes) return false;
  return std::any_of(blocks.begin(), blocks.end(), [&](const std::string& text) {
    const auto block = parse_block(text);
    return block && same_prefix(*block, *bytes);
  });
}

std::optional<std::string> bad_address(const std::vector<std::string>& blocks) {
  const auto bad = std::find_if(blocks.begin(), blocks.end(),
                                [](const std::string& text) { return !parse_block(text); });
  if (bad == blocks.end()) return {};
  return *bad;
}

}  // namespace retort::accounts
