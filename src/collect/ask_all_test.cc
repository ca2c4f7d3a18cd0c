// The loop with a simulated teacher, notebook and clock: crashes at every point, a disk that fails,
// Ctrl-C. Truth stands outside of what crashes: the teacher's log.
#include "collect/ask_all.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <utility>

#include "base/cancel.h"
#include "base/random.h"

namespace retort::collect {
namespace {

struct Crash {};  // thrown by the doubles: the process ends here

constexpr const char* kGood =
    R"({"model": "m", "choices": [{"message": {"content": "Hi."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 20}})";
const Spend kMost = priced({}, 15, 40);

// What is on disk.
struct Disk {
  std::map<int64_t, int> answer_rows;  // by job; 2 would be a duplicate
  std::set<int64_t> planned;
  std::set<int64_t> in_flight;
  Spend spent;
};

// Claims and ends are durable at commit; a claim commits by itself, as the real one does.
class SimulatedNotebook : public Notebook {
 public:
  SimulatedNotebook(Disk& disk, const base::Clock& clock, int crash_at)
      : disk_(disk), now_(disk), clock_(clock), crash_at_(crash_at) {
    unknown_ = std::exchange(now_.in_flight, {});
    now_.planned.insert(unknown_.begin(), unknown_.end());
  }
  int fail_commit = -1;

  Result<std::vector<Claimed>> claim(int64_t limit) override {
    point();
    std::vector<Claimed> out;
    for (const int64_t job : now_.planned) {
      if (static_cast<int64_t>(out.size()) == limit) break;
      if (ready_ms_[job] > clock_.monotonic_ms()) continue;
      out.push_back({job, kMost, std::to_string(job), unknown_.erase(job) > 0});
      Spend unknown = kMost;
      unknown.requests = 0;
      if (out.back().unknown_before) now_.spent.add(unknown);
      now_.spent.requests += 1;
    }
    for (const auto& one : out) {
      now_.planned.erase(one.job);
      now_.in_flight.insert(one.job);
    }
    if (!out.empty()) RETORT_TRY_VOID(commit());
    return out;
  }
  Result<void> release(int64_t job) override {
    now_.in_flight.erase(job);
    now_.planned.insert(job);
    now_.spent.requests -= 1;
    return commit();
  }
  Result<void> ended(int64_t job, const Reply&, const Step& step) override {
    point();
    now_.in_flight.erase(job);
    Spend cost = step.charge;
    cost.requests = 0;
    now_.spent.add(cost);
    if (step.outcome == Outcome::answered) ++now_.answer_rows[job];
    if (step.outcome == Outcome::again) {
      now_.planned.insert(job);
      ready_ms_[job] = clock_.monotonic_ms() + step.again_in_ms;
    }
    return {};
  }
  Result<void> commit() override {
    point();  // before
    if (fail_commit == 0) return base::storage_error("cannot write: No space left on device");
    --fail_commit;
    disk_ = now_;
    point();  // and after
    return {};
  }
  Result<int64_t> next_in_ms() override {
    int64_t next = -1;
    for (const int64_t job : now_.planned) {
      const int64_t in_ms = std::max<int64_t>(0, ready_ms_[job] - clock_.monotonic_ms());
      next = next < 0 ? in_ms : std::min(next, in_ms);
    }
    return next;
  }
  std::string body(int64_t) override { return "{}"; }

 private:
  void point() {
    if (crash_at_-- == 0) throw Crash{};
  }
  Disk& disk_;
  Disk now_;
  const base::Clock& clock_;
  int crash_at_;
  std::set<int64_t> unknown_;
  std::map<int64_t, int64_t> ready_ms_;
};

class SimulatedSender : public Sender {
 public:
  SimulatedSender(base::ManualClock& clock, uint64_t seed) : clock_(clock), random_(seed, 3) {}
  std::map<std::string, int> sends;   // by key
  std::map<std::string, int> proper;  // answers handed over
  int broken_percent = 0;
  int64_t latency_ms = 50;
  int64_t most_in_flight = 0;

  std::function<void()> on_send;

  void send(int64_t job, std::string, const std::string& key) override {
    if (on_send) on_send();
    ++sends[key];
    flying_.push_back(
        {job, key, clock_.monotonic_ms() + latency_ms + static_cast<int64_t>(random_.below(100))});
    most_in_flight = std::max(most_in_flight, static_cast<int64_t>(flying_.size()));
  }
  std::vector<Ended> wait(int64_t timeout_ms) override {
    int64_t until_ms = clock_.monotonic_ms() + std::max<int64_t>(1, timeout_ms);
    for (const auto& one : flying_) until_ms = std::min(until_ms, one.end_ms);
    clock_.sleep_ms(std::max<int64_t>(0, until_ms - clock_.monotonic_ms()));
    std::vector<Ended> out;
    for (size_t i = 0; i < flying_.size();) {
      if (flying_[i].end_ms > clock_.monotonic_ms()) {
        ++i;
        continue;
      }
      out.push_back({flying_[i].job, reply_to(flying_[i].key)});
      flying_.erase(flying_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return out;
  }
  void cancel_all() override {
    cancelled = true;
    for (auto& one : flying_) one.end_ms = clock_.monotonic_ms();
  }
  void forget() { flying_.clear(); }
  bool cancelled = false;
  int stop_status = 0;

 private:
  struct Flying {
    int64_t job;
    std::string key;
    int64_t end_ms;
  };
  Exchange reply_to(const std::string& key) {
    Exchange out;
    if (cancelled) return out;
    out.end = Exchange::End::answered;
    out.status = stop_status != 0 ? stop_status : 200;
    if (static_cast<int>(random_.below(100)) < broken_percent) out.status = 500;
    if (out.status == 200) ++proper[key];
    out.body = out.status == 200 ? kGood : "";
    return out;
  }
  base::ManualClock& clock_;
  base::Random random_;
  std::vector<Flying> flying_;
};

struct Day {
  explicit Day(int64_t jobs) {
    for (int64_t job = 0; job < jobs; ++job) disk.planned.insert(job);
  }
  Disk disk;
  base::ManualClock clock;
  Result<void> result;

  // One run of the program; true when it crashed.
  bool run(SimulatedSender& sender, int crash_at, const AskingOptions& options,
           int fail_commit = -1) {
    Asking asking(options, disk.spent, clock.monotonic_ms());
    SimulatedNotebook notebook(disk, clock, crash_at);
    notebook.fail_commit = fail_commit;
    try {
      result = ask_all(asking, {sender, notebook, clock, on_progress});
    } catch (const Crash&) {
      sender.forget();
      return true;
    }
    return false;
  }
  std::function<void(const Asking&)> on_progress;
};

AskingOptions four_at_once() {
  AskingOptions options;
  options.pacing.concurrency = 4;
  return options;
}

TEST(AskAll, EveryPointOfACrash) {
  int crashes = 0;
  for (int crash_at = 0; crash_at < 220; ++crash_at) {
    Day day(40);
    SimulatedSender sender(day.clock, 1);
    const bool crashed = day.run(sender, crash_at, four_at_once());
    crashes += crashed ? 1 : 0;
    const auto committed = day.disk.answer_rows;
    auto sends_before = sender.sends;
    ASSERT_FALSE(day.run(sender, -1, four_at_once()));
    ASSERT_TRUE(day.result) << day.result.error().text();
    EXPECT_EQ(day.disk.answer_rows.size(), 40U);
    int64_t resends = 0;
    for (int64_t job = 0; job < 40; ++job) {
      const std::string key = std::to_string(job);
      EXPECT_EQ(day.disk.answer_rows[job], 1) << "job " << job << " crash at " << crash_at;
      if (committed.contains(job)) {
        EXPECT_EQ(sender.sends[key], sends_before[key]);
      }
      resends += sender.sends[key] - 1;
    }
    EXPECT_LE(resends, crashed ? 4 : 0) << crash_at;
  }
  EXPECT_GT(crashes, 50);
}

TEST(AskAll, SpendIsNeverUnderReported) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    base::Random random(seed, 8);
    Day day(60);
    SimulatedSender sender(day.clock, seed);
    sender.broken_percent = static_cast<int>(random.below(20));
    AskingOptions options;
    options.pacing.concurrency = 6;
    options.limits.tokens = 1200;
    for (int kill = 0; kill < 4; ++kill) {
      day.run(sender, static_cast<int>(random.below(80)), options);
    }
    day.run(sender, -1, options);
    int64_t served_tokens = 0, sends = 0;
    for (const auto& [key, count] : sender.proper) served_tokens += 30 * count;
    for (const auto& [key, count] : sender.sends) sends += count;
    EXPECT_GE(day.disk.spent.tokens(), served_tokens) << seed;
    EXPECT_GE(day.disk.spent.requests, sends) << seed;
    EXPECT_LE(served_tokens, 1200) << seed;
  }
}

TEST(AskAll, AFullDiskStopsAndLosesNothing) {
  for (int at = 0; at < 20; ++at) {
    Day day(40);
    SimulatedSender sender(day.clock, 2);
    day.run(sender, -1, four_at_once(), at);
    ASSERT_FALSE(day.result);
    EXPECT_EQ(day.result.error().code, ErrorCode::storage);
    sender.cancelled = false;
    sender.forget();
    day.run(sender, -1, four_at_once());
    ASSERT_TRUE(day.result);
    for (int64_t job = 0; job < 40; ++job) EXPECT_EQ(day.disk.answer_rows[job], 1);
  }
}

TEST(AskAll, CtrlCWaitsShortlyForWhatIsPaid) {
  base::reset_cancel();
  Day day(40);
  SimulatedSender sender(day.clock, 2);
  sender.latency_ms = 1000;
  int64_t commits = 0;
  day.on_progress = [&](const Asking&) {
    if (++commits == 6) base::request_cancel();
  };
  day.run(sender, -1, four_at_once());
  base::reset_cancel();
  ASSERT_FALSE(day.result);
  EXPECT_EQ(day.result.error().code, ErrorCode::interrupted);
  EXPECT_FALSE(sender.cancelled) << "a second of latency is shorter than the grace";
  EXPECT_TRUE(day.disk.in_flight.empty());
  EXPECT_EQ(day.disk.answer_rows.size(), sender.proper.size()) << "what was paid is kept";
  EXPECT_LT(sender.proper.size(), 40U);
}

TEST(AskAll, CtrlCDoesNotWaitForASilentTeacher) {
  base::reset_cancel();
  Day day(3);
  SimulatedSender sender(day.clock, 2);
  sender.latency_ms = 10'000'000;
  sender.on_send = [] { base::request_cancel(); };
  day.run(sender, -1, {});
  base::reset_cancel();
  EXPECT_EQ(day.result.error().code, ErrorCode::interrupted);
  EXPECT_TRUE(sender.cancelled);
  EXPECT_LT(day.clock.monotonic_ms(), 10'000);
  EXPECT_EQ(day.disk.spent.tokens(), 3 * 55) << "unknown cost is booked at its most";
  EXPECT_EQ(day.disk.planned.size(), 3U);
}

TEST(AskAll, ARefusedKeyEndsTheRunAndKeepsTheJobs) {
  Day day(40);
  SimulatedSender sender(day.clock, 2);
  sender.stop_status = 401;
  day.run(sender, -1, four_at_once());
  ASSERT_FALSE(day.result);
  EXPECT_EQ(base::exit_code(day.result.error().code), 5);
  EXPECT_LE(sender.sends.size(), 4U);
  EXPECT_EQ(day.disk.planned.size(), 40U);
}

}  // namespace
}  // namespace retort::collect
