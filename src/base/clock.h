// Time behind a seam, so that limits, back-off and leases run under a simulated clock in tests.
// Monotonic time decides; wall time is only a label.
#pragma once
#include <cstdint>
#include <string>

namespace retort::base {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t monotonic_ms() const = 0;  // from an arbitrary start, never goes back
  virtual int64_t wall_ms() const = 0;       // Unix time
  virtual void sleep_ms(int64_t duration_ms) = 0;
};

// The machine's own clock; thread-safe, lives for ever.
Clock& system_clock();

// A clock that a test moves by hand; sleeping moves it too.
class ManualClock : public Clock {
 public:
  explicit ManualClock(int64_t wall_ms = 1'800'000'000'000) : wall_start_ms_(wall_ms) {}
  int64_t monotonic_ms() const override { return now_ms_; }
  int64_t wall_ms() const override { return wall_start_ms_ + now_ms_; }
  void sleep_ms(int64_t duration_ms) override { now_ms_ += duration_ms; }

 private:
  int64_t wall_start_ms_;
  int64_t now_ms_ = 0;
};

// Seconds since an arbitrary start, for measuring how long something took.
double monotonic_seconds();

constexpr int64_t kDay_ms = int64_t{24} * 60 * 60 * 1000;

// "2026-08-14T09:30:00Z" and "2026-08-14", both UTC.
std::string iso_time(int64_t wall_ms);
std::string iso_date(int64_t wall_ms);
// "2026-08-14" to Unix milliseconds of its first instant UTC; -1 when it is no date.
int64_t parse_iso_date(const std::string& text);

// "1.2 s", "3 min 05 s", "2 h 10 min".
std::string human_duration(double seconds);

}  // namespace retort::base
