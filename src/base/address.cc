#include "base/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace retort::base {

bool is_ipv4(const AddressBytes& address) {
  constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::equal(kMapped.begin(), kMapped.end(), address.begin());
}

std::optional<AddressBytes> parse_address(std::string_view text) {
  // inet_pton() would not look behind it.
  if (text.find('\0') != std::string_view::npos) return {};
  const std::string ended(text);
  AddressBytes out{};
  if (::inet_pton(AF_INET, ended.c_str(), out.data() + 12) == 1) {
    out[10] = out[11] = 0xff;
    return out;
  }
  if (::inet_pton(AF_INET6, ended.c_str(), out.data()) == 1) return out;
  return {};
}

std::string customer_of(std::string_view address) {
  auto bytes = parse_address(address);
  if (!bytes) return std::string(address);
  std::array<char, INET6_ADDRSTRLEN> text{};
  constexpr size_t kV4 = 12, kCustomer = 8;  // bytes before, and of
  if (is_ipv4(*bytes)) {
    ::inet_ntop(AF_INET, bytes->data() + kV4, text.data(), text.size());
    return text.data();
  }
  std::fill(bytes->begin() + kCustomer, bytes->end(), uint8_t{0});
  ::inet_ntop(AF_INET6, bytes->data(), text.data(), text.size());
  return std::string(text.data()) + "/64";
}

bool AddressBlock::holds(const AddressBytes& address) const {
  for (int bit = 0; bit < bits; bit += 8) {
    const int left = std::min(8, bits - bit);
    const int mask = 0xff << (8 - left) & 0xff;
    const auto byte = static_cast<size_t>(bit / 8);
    if ((bytes[byte] & mask) != (address[byte] & mask)) return false;
  }
  return true;
}

std::optional<AddressBlock> parse_address_block(std::string_view text) {
  const size_t slash = text.find('/');
  const auto bytes = parse_address(text.substr(0, slash));
  if (!bytes) return {};
  AddressBlock block{*bytes, 128};
  if (slash == std::string_view::npos) return block;
  const bool is_v4 = text.find(':') == std::string_view::npos;
  const auto digits = text.substr(slash + 1);
  if (digits.starts_with('-')) return {};  // from_chars takes "-0"
  int bits = -1;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size()) return {};
  if (bits < 0 || bits > (is_v4 ? 32 : 128)) return {};
  block.bits = is_v4 ? bits + 96 : bits;
  return block;
}

std::optional<std::string> bad_address(const std::vector<std::string>& blocks) {
  const auto bad = std::find_if(blocks.begin(), blocks.end(),
                                [](const std::string& text) { return !parse_address_block(text); });
  if (bad == blocks.end()) return {};
  return *bad;
}

Result<void> check_addresses(const std::vector<std::string>& blocks, const std::string& where) {
  const auto bad = bad_address(blocks);
  if (!bad) return {};
  return usage_error("“" + *bad + "” is no address and no block of them", where,
                     "for example 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32");
}

}  // namespace retort::base
