// One POST to a URL that a person chose, sent and waited for: where the answer is no more than its
// status. No redirects, no proxy, certificates are verified; as a rule it connects to addresses of
// the internet alone (address.h), whatever the name leads to at that moment. Blocks; safe from any
// thread.
#pragma once
#include <atomic>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "http/client.h"

namespace retort::http {

struct Post {
  std::string url;  // https, or http where private addresses are allowed
  Headers headers = {};
  std::string body = {};
  bool private_addresses = false;
  int64_t timeout_ms = 10'000;
  const std::atomic<bool>* stop = nullptr;  // true: given up within a second
};

// The answer's status. usage: a URL or a header that cannot be; upstream: no answer came.
Result<int> post(const Post& post);
// usage, for a URL that would never be asked.
Result<void> check_post(const Post& post);

}  // namespace retort::http
