// Where an address leads. Pure.
#pragma once

struct sockaddr;

namespace retort::http {

// Whether it is one of the internet's own: neither loopback nor private (RFC 1918, RFC 4193),
// link-local, shared (RFC 6598), multicast, documentation, nor such an IPv4 address within IPv6.
bool is_public(const sockaddr& address);

}  // namespace retort::http
