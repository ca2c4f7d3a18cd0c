// Blocks of internet addresses, as people write them in lists of who may come. Pure.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace retort::base {

// 16 bytes; IPv4 as ::ffff:a.b.c.d, so that a client that came over a dual-stack socket is the same
// client.
using AddressBytes = std::array<uint8_t, 16>;

bool is_ipv4(const AddressBytes& address);

// "203.0.113.7", "2001:db8::1"; nothing for any other text.
std::optional<AddressBytes> parse_address(std::string_view text);

// Whose it is, as far as it tells: of IPv6, where a customer has as many as it likes, the /64 that
// it stands in ("2001:db8::/64"); of IPv4, however written, itself. Any other text as it is.
std::string customer_of(std::string_view address);

// An address, or with /bits all that begin like it: "10.0.0.0/8".
struct AddressBlock {
  AddressBytes bytes{};
  int bits = 128;
  bool holds(const AddressBytes& address) const;
};
std::optional<AddressBlock> parse_address_block(std::string_view text);

// The first that is neither an address nor a block; nothing when all are.
std::optional<std::string> bad_address(const std::vector<std::string>& blocks);
// A usage error about that one, in the setting `where`.
Result<void> check_addresses(const std::vector<std::string>& blocks, const std::string& where = "");

}  // namespace retort::base
