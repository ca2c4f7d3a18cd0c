// Grants that are taken before anybody waits for them, of this period and of the next.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "accounts/quotas_testing_internal.h"

namespace retort::accounts {
namespace {

class QuotaAheadTest : public QuotaStoresTest {
 protected:
  std::unique_ptr<Quotas> open() { return open(clock_); }
  using QuotaStoresTest::open;

  void use(Quotas& quotas, int times) {
    for (int i = 0; i < times; ++i) {
      auto admitted = *quotas.reserve(subjects_, {});
      ASSERT_TRUE(admitted.admitted()) << i;
      admitted.reservation.settle({});
    }
  }
  // What the store holds for all processes together.
  int64_t granted() {
    auto held = database();
    auto row = *held->prepare("SELECT coalesce(sum(granted), 0) FROM holdings");
    return *row.step() ? row.integer(0) : -1;
  }
  int64_t granted_of(const Limit& limit, int64_t period_ms) {
    auto held = database();
    auto row = *held->prepare(
        "SELECT coalesce(sum(granted), 0) FROM holdings WHERE subject = ?1 AND resource = ?2 AND "
        "start_ms = ?3");
    row.bind(1, limit.subject).bind(2, static_cast<int64_t>(limit.resource)).bind(3, period_ms);
    return *row.step() ? row.integer(0) : -1;
  }
  // Asks once, so long after the minute began, and lets the ticker come by.
  void use_at(Quotas& quotas, int64_t in_minute_ms) {
    wait_until(in_minute_ms);
    use(quotas, 1);
    ASSERT_TRUE(quotas.tick().ok());
  }
  // So long after the minute began in which the test did.
  void wait_until(int64_t in_minute_ms) {
    clock_.sleep_ms(minute_ms_ + in_minute_ms - clock_.wall_ms());
  }

  const std::vector<Subject> subjects_ = {"key:k", "account:a", "all"};
  const Limit plenty_ = {"account:a", Resource::requests, Window::day, 100'000};
  const Limit requests_ = {"account:a", Resource::requests, Window::minute, 10};
  const Limit often_ = {"account:a", Resource::requests, Window::minute, 10'000};
  base::ManualClock clock_;
  const int64_t minute_ms_ = period_start_ms(Window::minute, clock_.wall_ms());
  const int64_t next_ms_ = minute_ms_ + 60'000;
};
RETORT_OVER_BOTH_STORES(QuotaAheadTest);

TEST_P(QuotaAheadTest, AGrantIsTakenOutAgainBeforeItRunsOut) {
  auto quotas = open();
  ASSERT_TRUE(quotas->set_limit(plenty_).ok());
  use(*quotas, 1);
  EXPECT_EQ(granted(), 65);
  clock_.sleep_ms(2000);
  use(*quotas, 31);
  ASSERT_TRUE(quotas->ask_ahead().ok());
  EXPECT_EQ(granted(), 65) << "33 are left, more than half of what is asked for at once";
  use(*quotas, 2);
  ASSERT_TRUE(quotas->ask_ahead().ok());
  EXPECT_EQ(granted(), 130);
  ASSERT_TRUE(quotas->ask_ahead().ok());
  EXPECT_EQ(granted(), 130) << "once";
  use(*quotas, 60);
  EXPECT_EQ(granted(), 130) << "no request asked";
}

TEST_P(QuotaAheadTest, AGrantIsAsLargeAsItsUseInSomeSeconds) {
  auto quotas = open();
  for (const auto& [lasted_ms, more] : std::vector<std::pair<int64_t, int64_t>>{
           {999, 256}, {1000, 128}, {9999, 128}, {10'000, 64}}) {
    const Limit limit = {std::to_string(lasted_ms), Resource::requests, Window::month, 100'000};
    ASSERT_TRUE(quotas->set_limit(limit).ok());
    const auto use_after = [&](int64_t wait_ms, int times) {
      clock_.sleep_ms(wait_ms);
      for (int i = 0; i < times; ++i) {
        quotas->reserve({limit.subject}, {})->reservation.settle({});
      }
      ASSERT_TRUE(quotas->ask_ahead().ok());
    };
    use_after(0, 60);
    const int64_t doubled = granted();
    use_after(lasted_ms, 100);
    EXPECT_EQ(granted(), doubled + 1 + more) << lasted_ms;
  }
}

TEST_P(QuotaAheadTest, WhatIsScarceIsLeftForWhoeverComes) {
  auto quotas = open();
  ASSERT_TRUE(quotas->set_limit(requests_).ok());
  use(*quotas, 2);
  const int64_t before = granted();
  ASSERT_TRUE(quotas->ask_ahead().ok());
  EXPECT_EQ(granted(), before);
}

TEST_P(QuotaAheadTest, ARequestDoesNotWaitForWhatIsAskedAhead) {
  auto quotas = *Quotas::open(folder_, {.store = store_});
  ASSERT_TRUE(quotas->set_limit(plenty_).ok());
  use(*quotas, 60);
  for (int i = 0; i < 2000 && granted() == 65; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_GT(granted(), 65);
}

TEST_P(QuotaAheadTest, OfTheNextMinuteSomeIsHeldWhenItBegins) {
  auto quotas = open();
  ASSERT_TRUE(quotas->set_limit(often_).ok());
  use_at(*quotas, 54'999);
  EXPECT_EQ(granted_of(often_, next_ms_), 0) << "not so early";
  use_at(*quotas, 55'000);
  EXPECT_EQ(granted_of(often_, next_ms_), 65);
  for (int i = 0; i < 4; ++i) {
    clock_.sleep_ms(1000);
    ASSERT_TRUE(quotas->tick().ok());
  }
  EXPECT_EQ(granted_of(often_, next_ms_), 65) << "once, and it stays";
  wait_until(60'000);
  ASSERT_TRUE(quotas->tick().ok());
  EXPECT_EQ(granted_of(often_, next_ms_), 65) << "also at a tick before anybody asks";
  use(*quotas, 30);
  EXPECT_EQ(granted_of(often_, next_ms_), 65) << "no request asked";
  ASSERT_TRUE(quotas->tick().ok());
  EXPECT_EQ(*quotas->used(often_, next_ms_), 30);
  EXPECT_EQ(*quotas->used(often_, minute_ms_), 2);
}

TEST_P(QuotaAheadTest, OfTheNextDayAsWell) {
  auto quotas = open();
  ASSERT_TRUE(quotas->set_limit(plenty_).ok());
  const int64_t day_ms = period_end_ms(Window::day, clock_.wall_ms());
  clock_.sleep_ms(day_ms - 3000 - clock_.wall_ms());
  use(*quotas, 1);
  ASSERT_TRUE(quotas->tick().ok());
  EXPECT_EQ(granted_of(plenty_, day_ms), 65);
}

TEST_P(QuotaAheadTest, WhoeverDoesNotAskInTheNewMinuteHoldsNothingOfIt) {
  auto quotas = open();
  ASSERT_TRUE(quotas->set_limit(often_).ok());
  use_at(*quotas, 57'000);
  EXPECT_EQ(granted_of(often_, next_ms_), 65);
  wait_until(60'100);
  ASSERT_TRUE(quotas->tick().ok());
  EXPECT_EQ(granted_of(often_, next_ms_), 65) << "there was hardly time to ask";
  wait_until(61'100);
  ASSERT_TRUE(quotas->tick().ok());
  EXPECT_EQ(granted(), 0);
}

TEST_P(QuotaAheadTest, WhoeverHadGoneQuietGetsNothingAhead) {
  auto quotas = open();
  ASSERT_TRUE(quotas->set_limit(often_).ok());
  use_at(*quotas, 53'000);
  ASSERT_TRUE(quotas->tick().ok());
  wait_until(56'000);
  ASSERT_TRUE(quotas->tick().ok());
  EXPECT_EQ(granted(), 0);
}

// So that of a small limit no process keeps from another what that one needs.
TEST_P(QuotaAheadTest, NoMoreThanASixteenthIsHeldAhead) {
  auto quotas = open();
  const Limit small = {"small", Resource::requests, Window::minute, 100};
  const Limit smaller = {"smaller", Resource::requests, Window::minute, 15};
  const Limit tokens = {"tokens", Resource::output_tokens, Window::minute, 1000};
  for (const auto& limit : {small, smaller, tokens}) ASSERT_TRUE(quotas->set_limit(limit).ok());
  wait_until(57'000);
  quotas->reserve({"small", "smaller", "tokens"}, {.output_tokens = 63})->reservation.settle({});
  ASSERT_TRUE(quotas->tick().ok());
  EXPECT_EQ(granted_of(small, next_ms_), 6);
  EXPECT_EQ(granted_of(smaller, next_ms_), 0);
  EXPECT_EQ(granted_of(tokens, next_ms_), 0) << "62, which is less than a request takes";
}

TEST_P(QuotaAheadTest, OneThatCannotBeHadLeavesTheOthers) {
  auto quotas = open();
  const Limit other = {"key:k", Resource::requests, Window::minute, 10'000};
  ASSERT_TRUE(quotas->set_limit(often_).ok());
  ASSERT_TRUE(quotas->set_limit(other).ok());
  base::ManualClock early(next_ms_);  // of a machine whose minute has begun
  auto elsewhere = open(early);
  auto all_of_it = *elsewhere->reserve({"account:a"}, {.requests = 10'000});
  ASSERT_TRUE(all_of_it.admitted());
  use_at(*quotas, 57'000);
  EXPECT_EQ(granted_of(other, next_ms_), 65);
  EXPECT_EQ(granted_of(often_, next_ms_), 10'000) << "the other machine's";
  wait_until(60'000);
  const auto refused = *quotas->reserve(subjects_, {});
  ASSERT_FALSE(refused.admitted());
  EXPECT_EQ(refused.refusal->limit, often_);
}

TEST_P(QuotaAheadTest, WhatIsHeldAheadGoesBackAtTheEnd) {
  {
    auto quotas = open();
    ASSERT_TRUE(quotas->set_limit(often_).ok());
    wait_until(57'000);
    use(*quotas, 1);
    ASSERT_TRUE(quotas->tick().ok());
    EXPECT_EQ(granted_of(often_, next_ms_), 65);
  }
  EXPECT_EQ(granted(), 0);
  wait_until(60'000);
  auto quotas = open();
  EXPECT_TRUE(quotas->reserve(subjects_, {.requests = 10'000})->admitted());
}

}  // namespace
}  // namespace retort::accounts
