// The last quarter of an hour at the door in steps of five seconds, for people who look at it:
// requests, tokens, latency, refusals by their codes. Nothing in it tells of a caller or a text.
//
// Threads: everything from any thread.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "json/value.h"

namespace retort::serve {

class Traffic {
 public:
  explicit Traffic(const base::Clock& clock) : clock_(clock) {}

  void add_reply(int status);
  void add_refusal(const std::string& code);
  void add_first_token(double seconds);
  void add_answer(double seconds, int64_t input_tokens, int64_t output_tokens);

  // {"step_s", "now_ms", "requests": [...], ..., "refusals": [{"code", "count"}]}, oldest step
  // first; the last one is under way.
  json::Value print() const;

 private:
  static constexpr int64_t kStepMs = 5000;
  static constexpr size_t kSteps = 180;
  static constexpr size_t kCodesMax = 64;  // a step; further ones count as "other"

  // Counts of durations, a third of a doubling wide from a millisecond on.
  class Spread {
   public:
    void add(double seconds);
    void add(const Spread& other);
    // Milliseconds below which so many of a hundred are; null of none.
    json::Value percentile(double percent) const;

   private:
    std::array<uint32_t, 56> counts_{};
  };
  struct Step {
    int64_t number = -1;  // since the clock's start
    int64_t requests = 0, answers = 0, refused = 0, failed = 0;
    int64_t input_tokens = 0, output_tokens = 0;
    Spread first_token, answer;
    std::map<std::string, int64_t> refusals;
  };
  Step& now();
  json::Value minute(int64_t last) const;

  const base::Clock& clock_;
  mutable std::mutex mutex_;  // of what follows
  std::array<Step, kSteps> steps_{};
};

}  // namespace retort::serve
