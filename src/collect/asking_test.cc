// The whole of asking under a simulated clock and teacher: one seed, one thread, no I/O.
#include "collect/asking.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace retort::collect {
namespace {

Reply reply_of(ReplyKind kind) {
  Reply reply;
  reply.kind = kind;
  reply.why = "simulated";
  if (kind == ReplyKind::answer) {
    reply.answer.usage_known = true;
    reply.answer.prompt_tokens = 10;
    reply.answer.answer_tokens = 20;
  }
  return reply;
}

// A teacher that decides by (time, attempt) what a request ends in and how long it takes.
struct Teacher {
  std::function<Reply(size_t job, int64_t now_ms, base::Random&)> answer;
  std::function<int64_t(base::Random&)> latency_ms = [](base::Random& random) {
    return 20 + static_cast<int64_t>(random.below(100));
  };
};

struct Trace {
  std::vector<int> answers;  // by job
  std::vector<int> sends;    // by job
  std::vector<int64_t> send_times_ms;
  int64_t most_in_flight = 0;
  int64_t end_ms = 0;
  int64_t rounds = 0;
  Spend charged;
  Tally tally;
  std::optional<Error> stopped;
  Spend booked;
};

Trace simulate(const AskingOptions& options, size_t jobs, const Teacher& teacher, uint64_t seed) {
  struct Flying {
    int64_t end_ms, sent_ms, job;
  };
  base::Random random(seed, 99);
  Asking asking(options, {}, 0);
  Trace run;
  run.answers.resize(jobs);
  run.sends.resize(jobs);
  std::set<std::pair<int64_t, int64_t>> ready;  // when, job
  for (size_t i = 0; i < jobs; ++i) ready.emplace(0, i);
  std::vector<Flying> flying;
  int64_t now_ms = 0;
  for (; run.rounds < 2'000'000; ++run.rounds) {
    while (asking.room(now_ms) > 0 && !ready.empty() && ready.begin()->first <= now_ms) {
      const int64_t job = ready.begin()->second;
      if (asking.admit(job, priced(options.prices, 15, 40)) != Admission::granted) break;
      ready.erase(ready.begin());
      ++run.sends[static_cast<size_t>(job)];
      run.send_times_ms.push_back(now_ms);
      flying.push_back({now_ms + teacher.latency_ms(random), now_ms, job});
      run.most_in_flight = std::max<int64_t>(run.most_in_flight, asking.in_flight());
    }
    if (flying.empty() && (asking.stopped() || ready.empty())) break;
    int64_t next_ms = asking.wake_ms(now_ms);
    for (const auto& one : flying) next_ms = std::min(next_ms, one.end_ms);
    if (asking.room(now_ms) > 0 && !ready.empty()) {
      next_ms = std::min(next_ms, ready.begin()->first);
    }
    if (next_ms == INT64_MAX || next_ms <= now_ms - 1) {
      ADD_FAILURE() << "stuck at " << now_ms << " ms";
      break;
    }
    now_ms = std::max(now_ms, next_ms);
    for (size_t i = 0; i < flying.size();) {
      if (flying[i].end_ms > now_ms) {
        ++i;
        continue;
      }
      const Flying one = flying[i];
      flying.erase(flying.begin() + static_cast<std::ptrdiff_t>(i));
      const auto job = static_cast<size_t>(one.job);
      const Reply reply = teacher.answer(job, now_ms, random);
      const Step step = asking.on_reply(one.job, reply, one.sent_ms, now_ms);
      run.charged.add(step.charge);
      if (step.outcome == Outcome::answered) ++run.answers[job];
      if (step.outcome == Outcome::again) ready.emplace(now_ms + step.again_in_ms, one.job);
    }
  }
  run.end_ms = now_ms;
  run.tally = asking.tally();
  run.stopped = asking.stopped();
  run.booked = asking.budget().spent();
  return run;
}

TEST(Asking, AllIsWellAndEachIsAskedOnce) {
  Teacher teacher;
  teacher.answer = [](size_t, int64_t, base::Random&) { return reply_of(ReplyKind::answer); };
  AskingOptions options;
  options.pacing.concurrency = 8;
  const Trace run = simulate(options, 500, teacher, 1);
  EXPECT_FALSE(run.stopped);
  EXPECT_EQ(run.most_in_flight, 8);
  EXPECT_EQ(*std::max_element(run.sends.begin(), run.sends.end()), 1);
  EXPECT_EQ(*std::min_element(run.answers.begin(), run.answers.end()), 1);
}

// Fault rates drawn per seed: every job answered at most once, the budget exact, no spinning.
TEST(Asking, HundredsOfBadDays) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    base::Random draw(seed, 5);
    const uint64_t broken = draw.below(30), busy = draw.below(30), gone = draw.below(10);
    Teacher teacher;
    teacher.answer = [&](size_t, int64_t, base::Random& random) {
      const uint64_t dice = random.below(100);
      if (dice < broken) {
        Reply reply = reply_of(ReplyKind::broken);
        reply.maybe_billed = random.below(2) == 0;
        return reply;
      }
      if (dice < broken + busy) {
        Reply reply = reply_of(ReplyKind::throttled);
        if (random.below(2) == 0) reply.retry_after_ms = static_cast<int64_t>(random.below(3000));
        return reply;
      }
      if (dice < broken + busy + gone) return reply_of(ReplyKind::unreachable);
      return reply_of(ReplyKind::answer);
    };
    AskingOptions options;
    options.pacing.concurrency = 1 + static_cast<int64_t>(draw.below(32));
    options.pacing.seed = seed;
    options.limits.tokens = draw.below(2) == 0 ? 0 : static_cast<int64_t>(draw.below(4000));
    const Trace run = simulate(options, 100, teacher, seed);
    EXPECT_LE(*std::max_element(run.answers.begin(), run.answers.end()), 1) << seed;
    EXPECT_EQ(run.booked, run.charged) << seed;
    EXPECT_LE(run.rounds, 100'000) << seed;
    if (options.limits.tokens > 0) {
      EXPECT_LE(run.booked.tokens(), options.limits.tokens) << seed;
    }
    const int64_t done = run.tally.answered + run.tally.exhausted + run.tally.rejected;
    if (!run.stopped) {
      EXPECT_EQ(done, 100) << seed;
    }
  }
}

TEST(Asking, TheSameSeedGivesTheSameRun) {
  Teacher teacher;
  teacher.answer = [](size_t, int64_t, base::Random& random) {
    return reply_of(random.below(4) == 0 ? ReplyKind::broken : ReplyKind::answer);
  };
  const Trace a = simulate({}, 200, teacher, 3);
  const Trace b = simulate({}, 200, teacher, 3);
  EXPECT_EQ(a.send_times_ms, b.send_times_ms);
  EXPECT_EQ(a.sends, b.sends);
}

TEST(Asking, AThrottledLaneWaitsAsAskedAndSlowsDown) {
  Teacher teacher;
  teacher.answer = [](size_t, int64_t now_ms, base::Random&) {
    if (now_ms > 400) return reply_of(ReplyKind::answer);
    Reply reply = reply_of(ReplyKind::throttled);
    reply.retry_after_ms = 5000;
    return reply;
  };
  AskingOptions options;
  options.pacing.concurrency = 32;
  const Trace run = simulate(options, 200, teacher, 1);
  EXPECT_EQ(run.tally.answered, 200);
  // Nothing is sent between the first refusal and the time that was asked for.
  for (const int64_t at : run.send_times_ms) EXPECT_TRUE(at == 0 || at >= 5020) << at;
  // One burst of refusals cuts the limit once.
  const auto second_wave = std::count_if(run.send_times_ms.begin(), run.send_times_ms.end(),
                                         [](int64_t at) { return at > 0 && at < 5200; });
  EXPECT_GE(second_wave, 16);
}

TEST(Asking, AnHourOfOutageIsSurvivedWithoutAHerd) {
  Teacher teacher;
  constexpr int64_t kDown_ms = 3'600'000;
  teacher.answer = [](size_t, int64_t now_ms, base::Random&) {
    return reply_of(now_ms > 5000 && now_ms < kDown_ms ? ReplyKind::unreachable
                                                       : ReplyKind::answer);
  };
  AskingOptions options;
  options.pacing.concurrency = 32;
  options.pacing.patience_ms = 2 * kDown_ms;
  const Trace run = simulate(options, 5000, teacher, 1);
  EXPECT_FALSE(run.stopped);
  EXPECT_EQ(run.tally.answered, 5000);
  const auto probes = std::count_if(run.send_times_ms.begin(), run.send_times_ms.end(),
                                    [](int64_t at) { return at > 10'000 && at < kDown_ms; });
  EXPECT_LT(probes, 400) << "of an hour";
  EXPECT_GT(probes, 30);
}

TEST(Asking, GivesUpOnATeacherThatIsNotThere) {
  Teacher teacher;
  teacher.answer = [](size_t, int64_t, base::Random&) { return reply_of(ReplyKind::unreachable); };
  const Trace run = simulate({}, 50, teacher, 1);
  ASSERT_TRUE(run.stopped);
  EXPECT_EQ(run.stopped->code, ErrorCode::upstream);
  EXPECT_NE(run.stopped->text().find("base_url"), std::string::npos) << run.stopped->text();
  EXPECT_LT(run.end_ms, 120'000);
  EXPECT_EQ(run.booked, Spend{}) << "what was never sent costs nothing";
}

TEST(Asking, ABadKeyStopsTheLaneAtOnce) {
  Teacher teacher;
  teacher.answer = [](size_t, int64_t, base::Random&) { return reply_of(ReplyKind::stop); };
  AskingOptions options;
  options.pacing.concurrency = 4;
  const Trace run = simulate(options, 50, teacher, 1);
  ASSERT_TRUE(run.stopped);
  EXPECT_EQ(base::exit_code(run.stopped->code), 5);
  EXPECT_EQ(run.send_times_ms.size(), 4U) << "only what was in flight";
}

TEST(Asking, ABudgetStopsBeforeTheSpend) {
  Teacher teacher;
  teacher.answer = [](size_t, int64_t, base::Random&) { return reply_of(ReplyKind::answer); };
  AskingOptions options;
  options.pacing.concurrency = 16;
  options.limits.tokens = 1000;  // an answer costs 30, at most 55
  const Trace run = simulate(options, 100, teacher, 1);
  ASSERT_TRUE(run.stopped);
  EXPECT_EQ(base::exit_code(run.stopped->code), 7);
  EXPECT_LE(run.booked.tokens(), 1000);
  EXPECT_GT(run.booked.tokens(), 1000 - 55) << "headroom is less than one reservation";
}

TEST(Asking, BrokenAnswersAreBoundedAndTheRestGoesOn) {
  Teacher teacher;
  teacher.answer = [](size_t job, int64_t, base::Random&) {
    return reply_of(job == 7 ? ReplyKind::broken : ReplyKind::answer);
  };
  AskingOptions options;
  options.max_attempts = 4;
  const Trace run = simulate(options, 50, teacher, 1);
  EXPECT_FALSE(run.stopped);
  EXPECT_EQ(run.sends[7], 4);
  EXPECT_EQ(run.tally.exhausted, 1);
  EXPECT_EQ(run.tally.answered, 49);
}

TEST(Asking, RetriesAreASmallShareOfAllThatIsSent) {
  Teacher teacher;
  teacher.answer = [](size_t, int64_t, base::Random& random) {
    return reply_of(random.below(2) == 0 ? ReplyKind::broken : ReplyKind::answer);
  };
  AskingOptions options;
  options.pacing.concurrency = 8;
  options.pacing.outage_after = 1000;
  const Trace run = simulate(options, 4000, teacher, 1);
  EXPECT_LE(run.tally.retries, 28 + run.tally.answered / 10);
}

TEST(Asking, WhenEveryRequestIsWrongItStopsEarly) {
  Teacher teacher;
  teacher.answer = [](size_t, int64_t, base::Random&) { return reply_of(ReplyKind::rejected); };
  AskingOptions options;
  options.pacing.concurrency = 4;
  const Trace run = simulate(options, 1000, teacher, 1);
  ASSERT_TRUE(run.stopped);
  EXPECT_LE(run.send_times_ms.size(), 24U);
}

}  // namespace
}  // namespace retort::collect
