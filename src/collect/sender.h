// The way to the teacher as the collecting loop sees it: requests go out, ends come back. The real
// one speaks HTTP; tests put a simulated one under a simulated clock.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "collect/options.h"
#include "collect/reply.h"

namespace retort::collect {

struct Ended {
  int64_t job = 0;
  Exchange exchange;
};

class Sender {
 public:
  virtual ~Sender() = default;
  // `key` names the request (Idempotency-Key): the same for every attempt of a job.
  virtual void send(int64_t job, std::string body, const std::string& key) = 0;
  // What ended, at least one unless `timeout_ms` passed first.
  virtual std::vector<Ended> wait(int64_t timeout_ms) = 0;
  // Everything in flight ends soon, as uncertain.
  virtual void cancel_all() = 0;
};

// POSTs to base_url + route. The key is read from the environment now and goes nowhere else; a
// variable that is not set is a usage error. Redirects are never followed.
Result<std::unique_ptr<Sender>> open_http_sender(const Teacher& teacher, const Options& options,
                                                 const std::string& route = "/chat/completions");

}  // namespace retort::collect
