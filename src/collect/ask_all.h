// The collecting loop: asks, writes down, goes on. Nothing counts before it is durable:
//   - that a request is sent, and what it may cost at most, is committed before it is sent;
//   - an answer holds its place among the requests in flight until it is committed.
// So after a crash at any point the notebook knows every request that may have been paid, no
// committed answer is asked for again, and what is asked again was in flight.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "collect/asking.h"
#include "collect/sender.h"

namespace retort::collect {

struct Claimed {
  int64_t job = 0;
  Spend most;                   // that one attempt can cost
  std::string key;              // the same in every run
  bool unknown_before = false;  // an earlier process may have paid for it: booked at `most` now
};

// Where it is written down.
class Notebook {
 public:
  virtual ~Notebook() = default;
  // Up to `limit` jobs to ask now. That they are in flight is durable when this returns.
  virtual Result<std::vector<Claimed>> claim(int64_t limit) = 0;
  // Claimed, and not sent.
  virtual Result<void> release(int64_t job) = 0;
  // The end of a claimed job's attempt. Durable after commit().
  virtual Result<void> ended(int64_t job, const Reply& reply, const Step& step) = 0;
  virtual Result<void> commit() = 0;
  // How long until claim() has something that it does not have now; 0: it has; -1: no job waits.
  virtual Result<int64_t> next_in_ms() = 0;
  // The request of a claimed job.
  virtual std::string body(int64_t job) = 0;
};

struct Surroundings {
  Sender& sender;
  Notebook& notebook;
  base::Clock& clock;
  std::function<void(const Asking&)> on_progress;  // after each commit
};

// Until no job waits, or asking.stopped(), or base::cancelled(). The error is a storage
// error (what was committed stays), or why the asking stopped.
Result<void> ask_all(Asking& asking, const Surroundings& surroundings);

}  // namespace retort::collect
