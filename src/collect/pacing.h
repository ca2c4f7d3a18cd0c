// How fast a lane to one teacher may go: how many requests at once (additive increase,
// multiplicative decrease on 429 and 503; Chiu and Jain 1989), when to ask again after a refusal
// (exponential back-off with full jitter), and when to stop trying. Pure: time comes in as numbers,
// chance from a seed. One thread.
#pragma once
#include <cstdint>
#include <optional>

#include "base/random.h"

namespace retort::collect {

struct PacingOptions {
  int64_t concurrency = 32;              // the most at once
  int64_t first_wait_ms = 500;           // back-off: about this long after the first failure,
  int64_t longest_wait_ms = 60'000;      // doubling up to this
  int64_t patience_ms = 300'000;         // so long without any answer, and the lane gives up
  int64_t connect_patience_ms = 15'000;  // likewise while the server was never reached
  int64_t outage_after = 5;  // failures in a row that mean "down": then one probe at a time
  double retry_share = 0.1;  // retries beyond the first few, as a share of the answers
  uint64_t seed = 1;
};

class Pacing {
 public:
  Pacing(const PacingOptions& options, int64_t now_ms);

  // How many requests may be in flight now. 0 while the lane is parked.
  int64_t allowed(int64_t now_ms) const;
  // When a parked lane goes on; now_ms or earlier when it is not parked.
  int64_t parked_until_ms() const { return parked_until_ms_; }

  void on_answer(int64_t now_ms);
  // Too many requests, or an overloaded server. `sent_ms` is when the request left: refusals of one
  // burst halve the limit once. `asked_wait_ms` is what the server wants.
  void on_throttle(int64_t sent_ms, int64_t now_ms, std::optional<int64_t> asked_wait_ms);
  // The server or the way to it failed. `reached` when it gave any answer at all.
  void on_failure(int64_t now_ms, bool reached);

  // When a job that failed `attempts` times may be sent again.
  int64_t retry_at_ms(int64_t attempts, int64_t now_ms);
  // No answer for longer than the patience.
  bool gave_up(int64_t now_ms) const;
  bool reached() const { return reached_; }
  bool down() const { return failures_in_a_row_ >= options_.outage_after; }
  int64_t limit() const { return static_cast<int64_t>(limit_); }

  // Spends one retry when there is one left; answers earn them back.
  bool take_retry();

 private:
  int64_t jittered_ms(int64_t failures);
  void park(int64_t until_ms);

  PacingOptions options_;
  base::Random random_;
  double limit_;
  double retries_left_;
  int64_t last_cut_ms_ = -1;
  int64_t parked_until_ms_ = 0;
  int64_t failures_in_a_row_ = 0;
  int64_t throttles_in_a_row_ = 0;
  int64_t last_answer_ms_;
  bool reached_ = false;
};

}  // namespace retort::collect
