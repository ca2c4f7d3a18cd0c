#include "accounts/quota.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "accounts/quotas_testing_internal.h"
#include "base/files.h"
#include "base/random.h"
#include "store/database.h"

namespace retort::accounts {
namespace {

class QuotaTest : public QuotaStoresTest {
 protected:
  using QuotaStoresTest::open;
  std::unique_ptr<Quotas> open() { return open(clock_); }

  const std::vector<Subject> subjects_ = {"key:k", "account:a", "all"};
  const Limit requests_ = {"account:a", Resource::requests, Window::minute, 10};
  const Limit tokens_ = {"key:k", Resource::output_tokens, Window::day, 1000};
  const Limit parallel_ = {"all", Resource::parallel, Window::now, 3};
  base::ManualClock clock_;
};
RETORT_OVER_BOTH_STORES(QuotaTest);

TEST_P(QuotaTest, WithoutLimitsEverythingPasses) {
  auto quotas = open();
  auto admitted = *quotas->reserve(subjects_, {.output_tokens = 1 << 30});
  EXPECT_TRUE(admitted.admitted());
  admitted.reservation.settle({});
}

TEST_P(QuotaTest, TheLastUnitIsGivenAndNotOneMore) {
  auto quotas = open();
  ASSERT_TRUE(quotas->set_limit(requests_).ok());
  for (int i = 0; i < 10; ++i) {
    auto admitted = *quotas->reserve(subjects_, {});
    ASSERT_TRUE(admitted.admitted()) << i;
    admitted.reservation.settle({});
  }
  const auto refused = *quotas->reserve(subjects_, {});
  ASSERT_FALSE(refused.admitted());
  EXPECT_EQ(refused.refusal->limit, requests_);
  EXPECT_EQ(refused.refusal->remaining, 0);
  EXPECT_EQ(refused.refusal->asked, 1);
  EXPECT_EQ(refused.refusal->resets_ms, period_end_ms(Window::minute, clock_.wall_ms()));
  clock_.sleep_ms(refused.refusal->resets_ms - clock_.wall_ms());
  EXPECT_TRUE(quotas->reserve(subjects_, {})->admitted()) << "a new minute";
}

TEST_P(QuotaTest, AllLimitsOrNone) {
  auto quotas = open();
  ASSERT_TRUE(quotas->set_limit(requests_).ok());
  ASSERT_TRUE(quotas->set_limit(tokens_).ok());
  for (int i = 0; i < 20; ++i) {
    EXPECT_FALSE(quotas->reserve(subjects_, {.output_tokens = 1001})->admitted());
  }
  auto admitted = *quotas->reserve(subjects_, {.output_tokens = 1000});
  EXPECT_TRUE(admitted.admitted()) << "the refused ones took no request";
}

TEST_P(QuotaTest, WhatWasReservedAndNotUsedComesBack) {
  auto quotas = open();
  ASSERT_TRUE(quotas->set_limit(tokens_).ok());
  for (int i = 0; i < 10; ++i) {
    auto admitted = *quotas->reserve(subjects_, {.output_tokens = 901});
    ASSERT_TRUE(admitted.admitted()) << i;
    admitted.reservation.settle({.output_tokens = 10});
  }
  EXPECT_FALSE(quotas->reserve(subjects_, {.output_tokens = 901})->admitted());
  ASSERT_TRUE(quotas->tick().ok());
  EXPECT_EQ(*quotas->used(tokens_, clock_.wall_ms()), 100);
}

TEST_P(QuotaTest, AReservationThatIsDroppedHasUsedItsProgress) {
  auto quotas = open();
  ASSERT_TRUE(quotas->set_limit(tokens_).ok());
  {
    auto admitted = *quotas->reserve(subjects_, {.output_tokens = 100});
    admitted.reservation.progress({.output_tokens = 7});
    admitted.reservation.progress({.output_tokens = 8});
  }
  ASSERT_TRUE(quotas->tick().ok());
  EXPECT_EQ(*quotas->used(tokens_, clock_.wall_ms()), 8);
}

TEST_P(QuotaTest, MoreThanWasReservedIsNeverCharged) {
  auto quotas = open();
  ASSERT_TRUE(quotas->set_limit(tokens_).ok());
  quotas->reserve(subjects_, {.output_tokens = 10})->reservation.settle({.output_tokens = 99});
  ASSERT_TRUE(quotas->tick().ok());
  EXPECT_EQ(*quotas->used(tokens_, clock_.wall_ms()), 10);
}

TEST_P(QuotaTest, ParallelCountsWhatIsUnderWay) {
  auto quotas = open();
  ASSERT_TRUE(quotas->set_limit(parallel_).ok());
  std::vector<Reservation> held;
  for (int i = 0; i < 3; ++i) {
    held.push_back(std::move(quotas->reserve(subjects_, {})->reservation));
    ASSERT_TRUE(held.back().held());
  }
  const auto refused = *quotas->reserve(subjects_, {});
  ASSERT_FALSE(refused.admitted());
  EXPECT_EQ(refused.refusal->limit, parallel_);
  held.pop_back();
  EXPECT_TRUE(quotas->reserve(subjects_, {})->admitted());
}

TEST_P(QuotaTest, WhatIsUsedOutlivesTheProcess) {
  {
    auto quotas = open();
    ASSERT_TRUE(quotas->set_limit(requests_).ok());
    for (int i = 0; i < 7; ++i) quotas->reserve(subjects_, {})->reservation.settle({});
  }
  const auto left = *base::list_directory(folder_);
  if (is_server()) {
    EXPECT_THAT(left, ::testing::IsEmpty());
  } else {
    EXPECT_THAT(left, ::testing::UnorderedElementsAre("quota.db", "quota.db-journal"));
  }
  auto quotas = open();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(quotas->reserve(subjects_, {})->admitted());
  EXPECT_FALSE(quotas->reserve(subjects_, {})->admitted());
}

TEST_P(QuotaTest, IdleGrantsGoBackToOthers) {
  auto one = open();
  auto other = open();
  ASSERT_TRUE(one->set_limit({"account:a", Resource::requests, Window::day, 1000}).ok());
  ASSERT_TRUE(other->tick().ok());
  EXPECT_TRUE(one->reserve(subjects_, {})->admitted());  // and holds a grant of more
  int given = 0;
  for (int round = 0; round < 3; ++round) {
    while (other->reserve(subjects_, {})->admitted()) ++given;
    clock_.sleep_ms(1000);
    ASSERT_TRUE(one->tick().ok());
    ASSERT_TRUE(other->tick().ok());
  }
  EXPECT_EQ(given, 999);
}

TEST_P(QuotaTest, ALimitThatIsLoweredBindsAtTheNextTick) {
  auto serving = open();
  auto admin = open();
  ASSERT_TRUE(admin->set_limit({"account:a", Resource::requests, Window::day, 1000}).ok());
  ASSERT_TRUE(serving->tick().ok());
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(serving->reserve(subjects_, {})->admitted());
  ASSERT_TRUE(admin->set_limit({"account:a", Resource::requests, Window::day, 6}).ok());
  ASSERT_TRUE(serving->tick().ok());
  EXPECT_TRUE(serving->reserve(subjects_, {})->admitted());
  EXPECT_FALSE(serving->reserve(subjects_, {})->admitted());
  ASSERT_TRUE(admin->remove_limit({"account:a", Resource::requests, Window::day, 0}).ok());
  ASSERT_TRUE(serving->tick().ok());
  EXPECT_TRUE(serving->reserve(subjects_, {})->admitted());
}

TEST_P(QuotaTest, StandingTellsWhatIsLeft) {
  auto quotas = open();
  ASSERT_TRUE(quotas->set_limit(requests_).ok());
  EXPECT_EQ(quotas->standing(subjects_)[0].remaining, 10);
  auto held = *quotas->reserve(subjects_, {});
  EXPECT_EQ(quotas->standing(subjects_)[0].remaining, 9);
  held.reservation.settle({});
  ASSERT_TRUE(quotas->tick().ok());
  EXPECT_TRUE(quotas->reserve(subjects_, {})->admitted());
  EXPECT_EQ(quotas->standing(subjects_)[0].remaining, 8);
}

TEST_P(QuotaTest, StandingOfASharedLimitFollowsWhatOthersTake) {
  auto quotas = open();
  const std::vector<Subject> one = {"key:1", "all"}, other = {"key:2", "all"};
  Limit shared = {"all", Resource::requests, Window::minute, 10};
  ASSERT_TRUE(quotas->set_limit(shared).ok());
  EXPECT_EQ(quotas->standing(one)[0].remaining, 10) << "nobody has asked yet";
  EXPECT_TRUE(quotas->reserve(other, {})->admitted());
  EXPECT_EQ(quotas->standing(one)[0].remaining, 9);
  shared.most = 5;
  ASSERT_TRUE(quotas->set_limit(shared).ok());
  ASSERT_TRUE(quotas->tick().ok());
  EXPECT_EQ(quotas->standing(one)[0].most, 5);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(quotas->reserve(one, {})->admitted()) << i;
  EXPECT_FALSE(quotas->reserve(other, {})->admitted());
  clock_.sleep_ms(60'000);
  EXPECT_EQ(quotas->standing(one)[0].remaining, 5) << "another minute";
  EXPECT_TRUE(quotas->reserve(other, {})->admitted());
  EXPECT_EQ(quotas->standing(one)[0].remaining, 4);
}

TEST_P(QuotaTest, RefusesWhatCannotBe) {
  auto quotas = open();
  EXPECT_FALSE(quotas->set_limit({"", Resource::requests, Window::day, 1}).ok());
  EXPECT_FALSE(quotas->set_limit({"all", Resource::requests, Window::day, -1}).ok());
  EXPECT_FALSE(quotas->set_limit({"all", Resource::parallel, Window::day, 1}).ok());
  EXPECT_FALSE(quotas->set_limit({"all", Resource::requests, Window::now, 1}).ok());
  ASSERT_TRUE(quotas->set_limit(tokens_).ok());
  EXPECT_FALSE(quotas->reserve(subjects_, {.output_tokens = -5}).ok());
  EXPECT_FALSE(quotas->reserve(subjects_, {.output_tokens = INT64_MAX})->admitted());
}

TEST_P(QuotaTest, AFailingStoreRefuses) {
  if (is_server()) GTEST_SKIP() << "of a server: quota_server_test.cc";
  auto quotas = open();
  ASSERT_TRUE(quotas->set_limit(requests_).ok());
  ASSERT_TRUE(base::write_file_atomic(base::join(folder_, "quota.db-journal"), "x").ok());
  ::truncate(base::join(folder_, "quota.db").c_str(), 100);
  const auto admitted = quotas->reserve(subjects_, {});
  EXPECT_FALSE(admitted.ok() && admitted->admitted());
}

TEST_P(QuotaTest, ThreadsShareOneLimitToTheUnit) {
  constexpr int64_t kMost = 20'000;
  const Limit limit = {"account:a", Resource::output_tokens, Window::month, kMost};
  std::atomic<int64_t> used{0};
  {
    auto opened = *Quotas::open(folder_, {.store = store_});
    ASSERT_TRUE(opened->set_limit(limit).ok());
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 16; ++thread) {
      threads.emplace_back([&, thread] {
        base::Random random(7, static_cast<uint64_t>(thread));
        for (int i = 0; i < 2000; ++i) {
          const auto most = static_cast<int64_t>(1 + random.below(40));
          auto admitted = *opened->reserve({"key:k", "account:a"}, {.output_tokens = most});
          if (!admitted.admitted()) continue;
          const auto produced = static_cast<int64_t>(random.below(most + 1));
          admitted.reservation.settle({.output_tokens = produced});
          used += produced;
        }
      });
    }
    for (auto& thread : threads) thread.join();
    ASSERT_TRUE(opened->tick().ok());
    EXPECT_EQ(*opened->used(limit, base::system_clock().wall_ms()), used.load());
  }
  EXPECT_LE(used.load(), kMost);
  EXPECT_GT(used.load(), kMost - 40) << "nearly all of it was given";
}

TEST_P(QuotaTest, AfterwardsNothingIsHeld) {
  {
    auto one = open();
    auto other = open();
    for (const auto& limit : {requests_, tokens_, parallel_}) {
      ASSERT_TRUE(one->set_limit(limit).ok());
    }
    ASSERT_TRUE(other->tick().ok());
    auto first = *one->reserve(subjects_, {.output_tokens = 100});
    auto second = *other->reserve(subjects_, {.output_tokens = 100});
    EXPECT_TRUE(first.admitted() && second.admitted());
    first.reservation.settle({.output_tokens = 30});
    second.reservation.settle({.output_tokens = 4});
  }
  auto held = database();
  auto row = *held->prepare(
      "SELECT (SELECT sum(held) FROM counters), (SELECT count(*) FROM holdings), "
      "(SELECT count(*) FROM processes), (SELECT used FROM counters WHERE resource = 2)");
  ASSERT_TRUE(*row.step());
  EXPECT_EQ(row.integer(0), 0);
  EXPECT_EQ(row.integer(1), 0);
  EXPECT_EQ(row.integer(2), 0);
  EXPECT_EQ(row.integer(3), 34);
}

TEST_P(QuotaTest, MinutesLongOverAreForgotten) {
  constexpr int64_t kDayMs = int64_t{24} * 3'600'000;
  base::ManualClock clock(1'700'000'000'000);  // behind the store's
  auto quotas = open(clock);
  for (const auto& limit : {requests_, tokens_}) ASSERT_TRUE(quotas->set_limit(limit).ok());
  const auto ask = [&] {
    auto admitted = *quotas->reserve(subjects_, {.output_tokens = 5});
    ASSERT_TRUE(admitted.admitted());
    admitted.reservation.settle({.output_tokens = 5});
    ASSERT_TRUE(quotas->tick().ok());
  };
  const auto rows = [&](const char* sql) {
    auto held = database();
    auto row = *held->prepare(sql);
    EXPECT_TRUE(*row.step());
    return row.integer(0);
  };
  constexpr const char* kRowsOfMinutes = "SELECT count(*) FROM counters WHERE period = 0";
  ask();
  clock.sleep_ms(60'000);
  ask();
  EXPECT_EQ(rows(kRowsOfMinutes), 2);
  clock.sleep_ms(kDayMs / 2);
  ask();
  EXPECT_EQ(rows(kRowsOfMinutes), 3) << "half a day is not long";
  clock.sleep_ms(kDayMs);
  ask();
  EXPECT_EQ(rows(kRowsOfMinutes), 1);
  EXPECT_EQ(rows("SELECT sum(used) FROM counters WHERE resource = 2"), 20) << "days are kept";
}

TEST(OldQuotaTest, WhatAnOlderFileSaysWasUsedOrGrantedCounts) {
  const std::string folder = ::testing::TempDir() + "/old_quota_" + std::to_string(::getpid());
  ASSERT_TRUE(base::remove_all(folder).ok());
  ASSERT_TRUE(base::make_directories(folder).ok());
  const Limit limit = {"all", Resource::requests, Window::month, 10};
  base::ManualClock clock;
  const auto start = std::to_string(period_start_ms(Window::month, clock.wall_ms()));
  {
    auto database = std::move(*store::Database::open(base::join(folder, "quota.db")));
    ASSERT_TRUE(database
                    ->execute("CREATE TABLE used (subject TEXT, resource INTEGER, period INTEGER, "
                              "start_ms INTEGER, amount INTEGER);"
                              "CREATE TABLE grants (id INTEGER PRIMARY KEY, process TEXT, subject "
                              "TEXT, resource INTEGER, period INTEGER, start_ms INTEGER, granted "
                              "INTEGER, reported INTEGER);"
                              "INSERT INTO used VALUES ('all', 0, 2, " +
                              start +
                              ", 3);"
                              "INSERT INTO grants VALUES (1, 'live-x', 'all', 0, 2, " +
                              start + ", 5, 1)")
                    .ok());
  }
  for (int again = 0; again < 2; ++again) {
    auto quotas = std::move(*Quotas::open(folder, {.clock = &clock, .background = false}));
    ASSERT_TRUE(quotas->set_limit(limit).ok());
    EXPECT_EQ(*quotas->used(limit, clock.wall_ms()), 7);
  }
  ASSERT_TRUE(base::remove_all(folder).ok());
}

TEST(PeriodTest, AreThoseOfTheCalendar) {
  const int64_t at_ms = 1'764'046'800'123;  // 2025-11-25T05:00:00.123Z
  EXPECT_EQ(base::iso_time(period_start_ms(Window::minute, at_ms)), "2025-11-25T05:00:00Z");
  EXPECT_EQ(base::iso_time(period_start_ms(Window::day, at_ms)), "2025-11-25T00:00:00Z");
  EXPECT_EQ(base::iso_time(period_start_ms(Window::month, at_ms)), "2025-11-01T00:00:00Z");
  EXPECT_EQ(base::iso_time(period_end_ms(Window::month, at_ms)), "2025-12-01T00:00:00Z");
  EXPECT_EQ(base::iso_time(period_end_ms(Window::month, base::parse_iso_date("2025-12-31"))),
            "2026-01-01T00:00:00Z");
}

}  // namespace
}  // namespace retort::accounts
