#include "collect/ask_all.h"

#include <algorithm>
#include <map>

#include "base/cancel.h"

namespace retort::collect {
namespace {

constexpr int64_t kLook_ms = 200;             // how often Ctrl-C is looked for
constexpr int64_t kGraceCancelled_ms = 3000;  // for what is in flight
constexpr int64_t kGraceRefused_ms = 30'000;
constexpr int64_t kCancelTakes_ms = 5000;

class Loop {
 public:
  Loop(Asking& asking, const Surroundings& around) : asking_(asking), around_(around) {}

  Result<void> run() {
    while (true) {
      if (base::cancelled()) asking_.stop(base::cancelled_error("collect"));
      RETORT_TRY_VOID(send_some());
      if (asking_.in_flight() == 0 && (asking_.stopped() || next_in_ms_ < 0)) break;
      RETORT_TRY_VOID(take_ends());
      cancel_when_late();
    }
    if (asking_.stopped()) return *asking_.stopped();
    return {};
  }

 private:
  int64_t now_ms() const { return around_.clock.monotonic_ms(); }

  Result<void> send_some() {
    next_in_ms_ = 0;
    const int64_t room = asking_.room(now_ms());
    if (room == 0) return {};
    RETORT_TRY(const auto claimed, around_.notebook.claim(room));
    for (const Claimed& one : claimed) {
      if (one.unknown_before) asking_.book_unknown(one.most);
    }
    for (const Claimed& one : claimed) {
      if (asking_.room(now_ms()) == 0 || asking_.admit(one.job, one.most) != Admission::granted) {
        RETORT_TRY_VOID(around_.notebook.release(one.job));
        continue;
      }
      sent_ms_[one.job] = now_ms();
      around_.sender.send(one.job, around_.notebook.body(one.job), one.key);
    }
    if (claimed.empty()) {
      RETORT_TRY(next_in_ms_, around_.notebook.next_in_ms());
    }
    return {};
  }

  int64_t wait_ms() const {
    int64_t wait_ms = kLook_ms;
    const int64_t wake_ms = asking_.wake_ms(now_ms());
    if (wake_ms != INT64_MAX) wait_ms = std::min(wait_ms, wake_ms - now_ms());
    if (next_in_ms_ > 0) wait_ms = std::min(wait_ms, next_in_ms_);
    return std::max<int64_t>(wait_ms, 1);
  }

  Result<void> take_ends() {
    const auto ends = around_.sender.wait(wait_ms());
    for (const Ended& one : ends) {
      const Reply reply = judge(one.exchange, around_.clock.wall_ms());
      const auto sent = sent_ms_.find(one.job);
      const Step step = asking_.on_reply(one.job, reply, sent->second, now_ms());
      sent_ms_.erase(sent);
      RETORT_TRY_VOID(around_.notebook.ended(one.job, reply, step));
    }
    if (ends.empty()) return {};
    RETORT_TRY_VOID(around_.notebook.commit());
    if (around_.on_progress) around_.on_progress(asking_);
    return {};
  }

  // After a stop the paid answers in flight are waited for, but not for ever.
  void cancel_when_late() {
    if (!asking_.stopped()) return;
    const int64_t now = now_ms();
    if (stopped_ms_ < 0) stopped_ms_ = now;
    const ErrorCode code = asking_.stopped()->code;
    if (code == ErrorCode::budget_reached && !base::cancelled()) return;
    const int64_t grace_ms = base::cancelled() ? kGraceCancelled_ms : kGraceRefused_ms;
    if (now - stopped_ms_ < grace_ms || now < next_cancel_ms_) return;
    around_.sender.cancel_all();
    next_cancel_ms_ = now + kCancelTakes_ms;
  }

  Asking& asking_;
  const Surroundings& around_;
  std::map<int64_t, int64_t> sent_ms_;
  int64_t next_in_ms_ = 0;
  int64_t stopped_ms_ = -1;
  int64_t next_cancel_ms_ = 0;
};

}  // namespace

Result<void> ask_all(Asking& asking, const Surroundings& surroundings) {
  auto result = Loop(asking, surroundings).run();
  // A storage error leaves requests in flight whose ends nobody writes down.
  if (asking.in_flight() > 0) surroundings.sender.cancel_all();
  return result;
}

}  // namespace retort::collect
