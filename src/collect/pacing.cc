#include "collect/pacing.h"

#include <algorithm>

namespace retort::collect {
namespace {

constexpr double kFirstRetries = 20;   // what a lane may spend before it earned any
constexpr double kMostRetries = 1000;  // what it can save up
constexpr int64_t kThrottlesTooMany = 5;
constexpr uint64_t kJitterStream = 0x6a69747465720001ULL;

}  // namespace

Pacing::Pacing(const PacingOptions& options, int64_t now_ms)
    : options_(options),
      random_(options.seed, kJitterStream),
      limit_(static_cast<double>(std::max<int64_t>(1, options.concurrency))),
      retries_left_(kFirstRetries + static_cast<double>(options.concurrency)),
      last_answer_ms_(now_ms) {}

int64_t Pacing::allowed(int64_t now_ms) const {
  if (now_ms < parked_until_ms_) return 0;
  return down() ? 1 : std::max<int64_t>(1, limit());
}

void Pacing::park(int64_t until_ms) {
  parked_until_ms_ = std::max(parked_until_ms_, until_ms);
}

void Pacing::on_answer(int64_t now_ms) {
  reached_ = true;
  // After an outage the lane starts small, so that a recovering server meets no herd.
  if (down()) limit_ = 1;
  failures_in_a_row_ = 0;
  throttles_in_a_row_ = 0;
  last_answer_ms_ = now_ms;
  limit_ = std::min(static_cast<double>(options_.concurrency), limit_ + 1.0 / limit_);
  retries_left_ = std::min(kMostRetries, retries_left_ + options_.retry_share);
}

void Pacing::on_throttle(int64_t sent_ms, int64_t now_ms, std::optional<int64_t> asked_wait_ms) {
  reached_ = true;
  failures_in_a_row_ = 0;
  if (sent_ms > last_cut_ms_) {
    limit_ = std::max(1.0, limit_ / 2);
    last_cut_ms_ = now_ms;
    ++throttles_in_a_row_;
  }
  const int64_t own_ms = jittered_ms(throttles_in_a_row_);
  // A little later than asked and never at once: many lanes may have been given the same time.
  const int64_t floor_ms = std::min<int64_t>(options_.first_wait_ms, 50);
  park(now_ms + (asked_wait_ms
                     ? std::max(*asked_wait_ms, floor_ms) + static_cast<int64_t>(random_.below(25))
                     : own_ms));
}

void Pacing::on_failure(int64_t now_ms, bool reached) {
  reached_ = reached_ || reached;
  ++failures_in_a_row_;
  if (down()) park(now_ms + jittered_ms(failures_in_a_row_ - options_.outage_after + 1));
}

int64_t Pacing::jittered_ms(int64_t failures) {
  const int64_t doublings = std::clamp<int64_t>(failures - 1, 0, 30);
  const int64_t cap_ms = std::min(options_.longest_wait_ms,
                                  options_.first_wait_ms << std::min<int64_t>(doublings, 20));
  // Full jitter, but never nothing at all.
  const int64_t least_ms = std::max<int64_t>(1, std::min(cap_ms, options_.first_wait_ms) / 4);
  return least_ms + static_cast<int64_t>(random_.below(static_cast<uint64_t>(cap_ms) + 1));
}

int64_t Pacing::retry_at_ms(int64_t attempts, int64_t now_ms) {
  return now_ms + jittered_ms(attempts);
}

bool Pacing::gave_up(int64_t now_ms) const {
  const int64_t patience_ms = reached_ ? options_.patience_ms : options_.connect_patience_ms;
  // A server may ask for a wait longer than the patience: only several such refusals count.
  const bool failing = failures_in_a_row_ > 0 || throttles_in_a_row_ >= kThrottlesTooMany;
  return failing && now_ms - last_answer_ms_ > patience_ms;
}

bool Pacing::take_retry() {
  if (retries_left_ < 1) return false;
  retries_left_ -= 1;
  return true;
}

}  // namespace retort::collect
