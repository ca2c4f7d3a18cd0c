#include "http/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace retort::http {
namespace {

struct Block {
  uint32_t first;
  int bits;
};
// RFC 6890 and its successors: what is not globally reachable.
constexpr std::array<Block, 15> kNotPublic = {{{0x00000000, 8},    // this network
                                               {0x0a000000, 8},    // private
                                               {0x64400000, 10},   // shared
                                               {0x7f000000, 8},    // loopback
                                               {0xa9fe0000, 16},   // link-local
                                               {0xac100000, 12},   // private
                                               {0xc0000000, 24},   // protocol assignments
                                               {0xc0000200, 24},   // documentation
                                               {0xc0586300, 24},   // 6to4 relays
                                               {0xc0a80000, 16},   // private
                                               {0xc6120000, 15},   // benchmarks
                                               {0xc6336400, 24},   // documentation
                                               {0xcb007100, 24},   // documentation
                                               {0xe0000000, 4},    // multicast
                                               {0xf0000000, 4}}};  // reserved, broadcast

bool is_public_v4(uint32_t address) {
  return std::none_of(kNotPublic.begin(), kNotPublic.end(), [address](const Block& block) {
    return (address ^ block.first) >> (32 - block.bits) == 0;
  });
}

bool is_public_v6(const std::array<uint8_t, 16>& bytes) {
  const auto v4_at = [&bytes](size_t at) {
    return uint32_t{bytes[at]} << 24 | uint32_t{bytes[at + 1]} << 16 |
           uint32_t{bytes[at + 2]} << 8 | uint32_t{bytes[at + 3]};
  };
  constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  constexpr std::array<uint8_t, 12> kNat64 = {0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0};
  const auto begins = [&bytes](const auto& prefix) {
    return std::equal(prefix.begin(), prefix.end(), bytes.begin());
  };
  if (begins(kMapped) || begins(kNat64)) return is_public_v4(v4_at(12));
  if (bytes[0] == 0x20 && bytes[1] == 0x02) return is_public_v4(v4_at(2));  // 6to4
  const bool documentation = v4_at(0) == 0x20010db8;
  // Of all the rest 2000::/3 alone is given to the internet.
  return bytes[0] >> 5 == 1 && !documentation;
}

}  // namespace

bool is_public(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    return is_public_v4(ntohl(v4.sin_addr.s_addr));
  }
  if (address.sa_family != AF_INET6) return false;
  sockaddr_in6 v6{};
  std::memcpy(&v6, &address, sizeof v6);
  std::array<uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
  return is_public_v6(bytes);
}

}  // namespace retort::http
