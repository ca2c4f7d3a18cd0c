// Answers kept by the key that their request gave (Idempotency-Key), so that a client which asks
// again after a broken connection gets the same answer and pays once. In memory alone, for minutes
// and within bounds: a door that starts anew has forgotten them. Thread-safe.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "http/server.h"

namespace retort::serve {

class Replays {
 public:
  struct Limits {
    int64_t keep_ms = 600'000;
    int64_t bytes = int64_t{32} << 20;        // of all answers; the oldest go first
    int64_t answer_bytes = int64_t{1} << 20;  // a larger one is not kept
  };
  struct Kept {
    http::Reply reply;
    bool streamed = false;  // the body is what was written to a stream
  };
  enum class Found {
    nothing,  // whoever asked holds the key now, until keep() or drop()
    running,  // the same request is being answered
    other,    // another request had this key
    kept,
  };
  struct Begun {
    Found found = Found::nothing;
    std::shared_ptr<const Kept> kept = nullptr;
  };

  Replays();
  Replays(Limits limits, base::Clock& clock);

  // `request`: a digest of what is asked.
  Begun begin(const std::string& key, const std::string& request);
  void keep(const std::string& key, Kept kept);
  void drop(const std::string& key);
  const Limits& limits() const { return limits_; }

 private:
  struct Entry {
    std::string request;
    std::shared_ptr<const Kept> kept = nullptr;  // null: running
    int64_t since_ms = 0;
    int64_t bytes = 0;
  };
  void forget_old();

  const Limits limits_;
  base::Clock& clock_;
  std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;
  std::deque<std::pair<int64_t, std::string>> order_;  // of kept ones: since when, which
  int64_t bytes_ = 0;
};

// Passes an answer on and keeps it when it is whole and a success; gone without that, the key is
// free again.
std::shared_ptr<http::Responder> recorded(std::shared_ptr<http::Responder> inner,
                                          std::shared_ptr<Replays> replays, std::string key);
void replay(http::Responder& to, const Replays::Kept& kept);

}  // namespace retort::serve
