// A line for each campaign of a test: what it was like, how much it got, how near its accounts came
// to what its declared purpose takes, and, of one shared out, what let each request through.
#pragma once
#include <array>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "harvest/world.h"

namespace retort::bench::harvest {

// Why the account that made a harvest request was not suspended for a cluster with it.
enum class Why : uint8_t {
  nothing_proven,  // no pool of the campaign was proven yet
  no_pool,         // none of those that the request went into is
  asks_early,      // a pool of what is asked is, and the account made too few requests,
  asks_usual,      // ... or is not unusual by itself
  comes_early,     // a pool of where it comes from is; the same
  comes_usual,
  both_early,  // both are
  both_usual,
  ended,  // it was suspended
};
constexpr size_t kWhys = 9;

// How one campaign went.
struct Course {
  struct Account {
    int64_t requests = 0, first_ms = 0, last_ms = 0;
  };
  int64_t requests = 0;    // harvest ones
  int64_t proven_at = -1;  // of those when the first pool was proven; -1: none was
  std::array<int64_t, kWhys> whys{};
  // The highest scores of pools that it was in: by where it comes from, by what it asks.
  std::array<float, 2> best{-20, -20};
  std::unordered_map<size_t, Account> accounts;
  double at_once() const;  // accounts that had begun and not ended, on average
};

class Follower {
 public:
  explicit Follower(const detect::Detector& detector) : detector_(detector) {}
  void note(const Seen& seen);
  const std::unordered_map<int, Course>& courses() const { return courses_; }

 private:
  Why why(const Seen& seen, Course& course) const;
  const detect::Detector& detector_;
  std::unordered_map<int, Course> courses_;
};

using Courses = std::unordered_map<int, Course>;
void print_trace(const std::vector<Outcome>& outcomes, const std::vector<Courses>& courses,
                 const detect::Calibration& calibration);

}  // namespace retort::bench::harvest
