// What only a server can bring about: machines that are gone, leases, lost answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "accounts/quota.h"
#include "base/files.h"
#include "base/random.h"
#include "store/cutting_proxy_testing.h"
#include "store/postgres_testing.h"

namespace retort::accounts {
namespace {

using store::Cut;
using store::TestCluster;

constexpr int64_t kLease_ms = 600;
const Limit kMonthlyTokens = {"account:a", Resource::output_tokens, Window::month, 1000};
const Limit kThreeAtOnce = {"all", Resource::parallel, Window::now, 3};

class QuotaServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/quota_server_" + std::to_string(::getpid());
    ASSERT_TRUE(base::remove_all(folder_).ok());
    cluster_ = TestCluster::get();
    if (cluster_ == nullptr) GTEST_SKIP() << "PostgreSQL's programs are not installed";
    store_ = cluster_->fresh();
  }
  void TearDown() override { (void)base::remove_all(folder_); }

  // Of a machine that has a folder and a clock of its own. Its clock stands still unless it is
  // moved: to it no time passes, as to one that was stopped as a whole.
  std::unique_ptr<Quotas> machine(const std::string& name, base::Clock* clock) {
    return std::move(*Quotas::open(
        base::join(folder_, name),
        {.clock = clock, .background = false, .store = store_, .lease_ms = kLease_ms}));
  }
  static Result<Admission> ask(Quotas& quotas, int64_t tokens) {
    return quotas.reserve({"account:a", "all"}, {.output_tokens = tokens});
  }
  static bool admits(Quotas& quotas, int64_t tokens) {
    auto admitted = ask(quotas, tokens);
    if (!admitted || !admitted->admitted()) return false;
    admitted->reservation.settle({.output_tokens = tokens});
    return true;
  }
  int64_t number(const std::string& sql) {
    auto database = std::move(*store::Database::open(store_));
    auto row = *database->prepare(sql);
    EXPECT_TRUE(row.step().value_or(false));
    return row.integer(0);
  }
  static void lease_passes() { base::system_clock().sleep_ms(kLease_ms + 100); }

  std::string folder_, store_;
  TestCluster* cluster_ = nullptr;
  base::ManualClock clock_a_, clock_b_;
};

TEST_F(QuotaServerTest, WhatALostMachineHeldCountsAsUsedWhenItsLeaseIsOver) {
  auto b = machine("b", &clock_b_);
  ASSERT_TRUE(b->set_limit(kMonthlyTokens).ok());
  ASSERT_TRUE(b->set_limit(kThreeAtOnce).ok());
  const pid_t pid = ::fork();
  if (pid == 0) {
    auto a = machine("a", &clock_a_);
    auto held = *ask(*a, 100);
    held.reservation.progress({.output_tokens = 1});
    ::_exit(held.admitted() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  ASSERT_EQ(status, 0);
  ASSERT_TRUE(b->tick().ok());
  EXPECT_EQ(*b->used(kMonthlyTokens, clock_b_.wall_ms()), 0);
  const int64_t held = number("SELECT held FROM counters WHERE resource = 2");
  EXPECT_GE(held, 100);
  EXPECT_FALSE(admits(*b, 1000 - held + 1)) << "what it holds is nobody else's";
  lease_passes();
  clock_b_.sleep_ms(kLease_ms / 4);
  ASSERT_TRUE(b->tick().ok());
  EXPECT_EQ(*b->used(kMonthlyTokens, clock_b_.wall_ms()), held);
  EXPECT_EQ(number("SELECT count(*) FROM holdings"), 0);
  std::vector<Admission> at_once;
  for (int i = 0; i < 3; ++i) {
    at_once.push_back(std::move(*ask(*b, 1)));
    EXPECT_TRUE(at_once.back().admitted()) << "its places are free";
  }
  at_once.clear();
  // The machine comes back: its file tells less, but that was given up.
  auto again = machine("a", &clock_a_);
  EXPECT_EQ(*again->used(kMonthlyTokens, clock_b_.wall_ms()), held);
}

TEST_F(QuotaServerTest, WhoWakesAfterItsLeaseIsNeverOver) {
  auto a = machine("a", &clock_a_);
  auto b = machine("b", &clock_b_);
  ASSERT_TRUE(a->set_limit(kMonthlyTokens).ok());
  ASSERT_TRUE(a->set_limit(kThreeAtOnce).ok());
  ASSERT_TRUE(b->tick().ok());
  auto under_way = std::move(*ask(*a, 10));
  ASSERT_TRUE(under_way.admitted());
  EXPECT_TRUE(under_way.reservation.progress({.output_tokens = 1}));
  lease_passes();  // while a stands still
  clock_b_.sleep_ms(kLease_ms / 4);
  ASSERT_TRUE(b->tick().ok());
  std::vector<Admission> at_once;
  for (int i = 0; i < 3; ++i) at_once.push_back(std::move(*ask(*b, 1)));
  EXPECT_TRUE(at_once.back().admitted()) << "all places are b's now";
  clock_a_.sleep_ms(kLease_ms);
  ASSERT_TRUE(a->tick().ok());
  EXPECT_FALSE(under_way.reservation.progress({.output_tokens = 2})) << "its place is gone";
  EXPECT_FALSE(ask(*a, 0)->admitted());
  under_way.reservation.settle({.output_tokens = 10});
  clock_a_.sleep_ms(100);
  EXPECT_FALSE(ask(*a, 0)->admitted()) << "nor does it free one of b's";
  at_once.clear();
  ASSERT_TRUE(b->tick().ok());
  ASSERT_TRUE(b->tick().ok()) << "by now they lie idle";
  clock_a_.sleep_ms(100);
  int64_t given = 10;
  while (admits(*b, 1)) ++given;
  while (admits(*a, 1)) ++given;  // of what it held, which counts as used
  EXPECT_LE(given, 1000);
  EXPECT_EQ(given, 1000) << "and what it did not hand out was not lost to it";
  for (int i = 0; i < 3; ++i) {  // places that lie idle go back
    ASSERT_TRUE(b->tick().ok());
    ASSERT_TRUE(a->tick().ok());
  }
  clock_a_.sleep_ms(100);
  for (int i = 0; i < 3; ++i) at_once.push_back(std::move(*ask(*a, 0)));
  EXPECT_TRUE(at_once.back().admitted()) << "all places are there again";
  clock_a_.sleep_ms(100);
  EXPECT_FALSE(ask(*a, 0)->admitted());
}

TEST_F(QuotaServerTest, WithoutTheServerWhatIsHeldIsHandedOutForHalfALease) {
  auto a = machine("a", &clock_a_);
  ASSERT_TRUE(a->set_limit(kMonthlyTokens).ok());
  ASSERT_TRUE(admits(*a, 1));
  cluster_->stop();
  EXPECT_TRUE(admits(*a, 1));
  EXPECT_FALSE(ask(*a, 900).ok()) << "what is not held cannot be had";
  clock_a_.sleep_ms(kLease_ms / 2);
  EXPECT_FALSE(ask(*a, 1).ok());
  cluster_->start();
  base::system_clock().sleep_ms(300);
  EXPECT_TRUE(admits(*a, 1));
  ASSERT_TRUE(a->tick().ok());
  EXPECT_EQ(*a->used(kMonthlyTokens, clock_a_.wall_ms()), 3);
}

TEST_F(QuotaServerTest, LostAnswersChangeNothing) {
  base::Random random(5);
  std::mutex mutex;
  store::CuttingProxy proxy(cluster_->socket_folder(), [&] {
    const std::lock_guard lock(mutex);
    constexpr Cut kCuts[] = {Cut::before, Cut::after, Cut::late};
    return random.below(4) == 0 ? kCuts[random.below(3)] : Cut::none;
  });
  constexpr int64_t kMost = 40'000;
  const Limit limit = {"account:a", Resource::output_tokens, Window::month, kMost};
  const std::string through =
      TestCluster::address_at(proxy.folder(), store_.substr(14, store_.find('?') - 14));
  std::atomic<int64_t> used{0}, under_way{0}, most_under_way{0};
  {
    auto direct = machine("direct", nullptr);
    ASSERT_TRUE(direct->set_limit(limit).ok());
    ASSERT_TRUE(direct->set_limit({"all", Resource::parallel, Window::now, 5}).ok());
  }
  const auto work = [&](Quotas& quotas, uint64_t seed) {
    base::Random own(seed);
    for (int i = 0; i < 400; ++i) {
      const auto most = static_cast<int64_t>(1 + own.below(60));
      auto admitted = quotas.reserve({"account:a", "all"}, {.output_tokens = most});
      if (!admitted || !admitted->admitted()) {
        base::system_clock().sleep_ms(1);
        continue;
      }
      const int64_t now = ++under_way;
      int64_t before = most_under_way;
      while (before < now && !most_under_way.compare_exchange_weak(before, now)) {
      }
      const auto produced = static_cast<int64_t>(own.below(most + 1));
      if (i % 4 == 0) base::system_clock().sleep_ms(2);
      --under_way;
      admitted->reservation.settle({.output_tokens = produced});
      used += produced;
    }
  };
  {
    std::vector<std::unique_ptr<Quotas>> machines;
    for (const char* name : {"a", "b"}) {
      auto opened = Quotas::open(base::join(folder_, name),
                                 {.background = false, .first_grant = 1, .store = through});
      ASSERT_TRUE(opened.ok()) << opened.error().text();
      machines.push_back(std::move(*opened));
    }
    std::vector<std::thread> threads, tickers;
    for (uint64_t i = 0; i < 8; ++i) {
      threads.emplace_back([&, i] { work(*machines[i % 2], i); });
    }
    // Reports and what lies idle go back and forth all the time.
    std::atomic<bool> ending{false};
    for (auto& one : machines) {
      tickers.emplace_back([&] {
        while (!ending) {
          (void)one->tick();
          base::system_clock().sleep_ms(5);
        }
      });
    }
    for (auto& thread : threads) thread.join();
    ending = true;
    for (auto& ticker : tickers) ticker.join();
  }
  EXPECT_GT(proxy.cuts(), 20) << "too few to say anything";
  EXPECT_LE(used.load(), kMost);
  EXPECT_LE(most_under_way.load(), 5);
  // Whose last report was cut has left its live file.
  for (const char* name : {"a", "b"}) (void)machine(name, nullptr);
  auto direct = machine("direct", nullptr);
  EXPECT_EQ(*direct->used(limit, base::system_clock().wall_ms()), used.load());
  EXPECT_EQ(number("SELECT sum(held) FROM counters"), 0);
  EXPECT_EQ(number("SELECT count(*) FROM holdings"), 0);
}

}  // namespace
}  // namespace retort::accounts
