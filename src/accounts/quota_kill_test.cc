// Two processes with many threads each are killed again and again in the midst of what they do.
// What was admitted never exceeds the limit, and what the store says afterwards is what was
// produced.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "accounts/quota.h"
#include "accounts/quota_live_internal.h"
#include "base/files.h"
#include "base/random.h"

namespace retort::accounts {
namespace {

constexpr int kThreads = 32;
constexpr int64_t kMost = 250'000;
constexpr int kMostRounds = 200;
constexpr int64_t kParallel = 24;

// In memory that outlives the children, counted by them right beside what they tell the quotas.
struct Seen {
  std::atomic<int64_t> produced{0};  // told before it is counted: never more than the store knows
  std::atomic<int64_t> about_to{0};  // counted before it is told: never less
  std::atomic<int64_t> under_way{0}, most_under_way{0};
};

const Limit kTokens = {"account:a", Resource::output_tokens, Window::month, kMost};
const Limit kAtOnce = {"all", Resource::parallel, Window::now, kParallel};

void produce(Quotas& quotas, Seen& seen, base::Random& random) {
  const auto most = static_cast<int64_t>(1 + random.below(30));
  auto admitted = quotas.reserve({"account:a", "all"}, {.output_tokens = most});
  if (!admitted || !admitted->admitted()) {
    ::usleep(200);
    return;
  }
  const int64_t at_once = ++seen.under_way;
  int64_t before = seen.most_under_way;
  while (before < at_once && !seen.most_under_way.compare_exchange_weak(before, at_once)) {
  }
  const auto produced = static_cast<int64_t>(random.below(most + 1));
  for (int64_t i = 1; i <= produced; ++i) {
    ++seen.about_to;
    admitted->reservation.progress({.output_tokens = i});
    ++seen.produced;
    if (i % 8 == 0) ::usleep(100);  // so that a kill finds many in the midst of it
  }
  --seen.under_way;  // before the place is free for another
  admitted->reservation.settle({.output_tokens = produced});
}

[[noreturn]] void child(const std::string& folder, Seen& seen, uint64_t seed) {
  auto quotas = Quotas::open(folder);
  if (!quotas) ::_exit(1);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      base::Random random(seed, static_cast<uint64_t>(thread));
      while (true) produce(**quotas, seen, random);
    });
  }
  for (auto& thread : threads) thread.join();
  ::_exit(0);
}

TEST(QuotaKillTest, TwoProcessesKilledAgainAndAgainNeverPassTheLimit) {
  const std::string folder = ::testing::TempDir() + "/quota_kill_" + std::to_string(::getpid());
  ASSERT_TRUE(base::remove_all(folder).ok());
  void* memory =
      ::mmap(nullptr, sizeof(Seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto& seen = *new (memory) Seen;
  {
    auto quotas = *Quotas::open(folder);
    ASSERT_TRUE(quotas->set_limit(kTokens).ok());
    ASSERT_TRUE(quotas->set_limit(kAtOnce).ok());
  }
  base::Random random(11);
  int64_t used = 0;
  int rounds = 0;
  for (; used <= kMost - 30 && rounds < kMostRounds; ++rounds) {
    // Both die before the next round, so that who was under way is nobody's any more.
    seen.under_way = 0;
    std::vector<pid_t> children;
    for (int i = 0; i < 2; ++i) {
      const pid_t pid = ::fork();
      if (pid == 0) child(folder, seen, random.next());
      children.push_back(pid);
    }
    ::usleep(static_cast<useconds_t>(10'000 + random.below(120'000)));
    for (const pid_t pid : children) ::kill(pid, SIGKILL);
    for (const pid_t pid : children) {
      int status = 0;
      ASSERT_EQ(::waitpid(pid, &status, 0), pid);
      EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << status;
    }
    auto quotas = *Quotas::open(folder);
    used = *quotas->used(kTokens, base::system_clock().wall_ms());
    EXPECT_LE(used, kMost);
    EXPECT_LE(seen.produced.load(), used) << "round " << rounds;
    EXPECT_GE(seen.about_to.load(), used) << "round " << rounds;
  }
  EXPECT_LE(seen.most_under_way.load(), kParallel);
  EXPECT_GT(used, kMost - 30) << "what is left at the end fits nobody";
  EXPECT_GT(rounds, 2) << "too few kills to say anything";
  ASSERT_TRUE(base::remove_all(folder).ok());
  ::munmap(memory, sizeof(Seen));
}

class DeadProcessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(base::remove_all(folder_).ok());
    ASSERT_TRUE((*Quotas::open(folder_))->set_limit(kTokens).ok());
    const pid_t pid = ::fork();
    if (pid == 0) {  // dies with 100 tokens reserved and 7 produced, after 20 that were settled
      auto quotas = *Quotas::open(folder_);
      quotas->reserve({"account:a"}, {.output_tokens = 50})
          ->reservation.settle({.output_tokens = 20});
      auto held = *quotas->reserve({"account:a"}, {.output_tokens = 100});
      held.reservation.progress({.output_tokens = 7});
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    const auto names = *base::list_directory(folder_);
    for (const auto& name : names) {
      if (name.starts_with("live-") && !name.ends_with(".lock")) live_ = base::join(folder_, name);
    }
    ASSERT_FALSE(live_.empty());
  }
  void TearDown() override { (void)base::remove_all(folder_); }
  int64_t used() {
    return *(*Quotas::open(folder_))->used(kTokens, base::system_clock().wall_ms());
  }

  const std::string folder_ = ::testing::TempDir() + "/quota_dead_" + std::to_string(::getpid());
  std::string live_;
};

TEST_F(DeadProcessTest, HasUsedWhatItProduced) {
  EXPECT_EQ(used(), 27);
  EXPECT_EQ(used(), 27) << "and only once";
  EXPECT_FALSE(base::exists(live_));
}

TEST_F(DeadProcessTest, WithoutItsFileAllThatItWasGrantedCounts) {
  ASSERT_TRUE(base::remove_all(live_).ok());
  EXPECT_GE(used(), 120);
}

TEST_F(DeadProcessTest, AFileOfAnotherBootIsNotBelieved) {
  auto bytes = *base::read_file(live_, int64_t{64} << 20);
  bytes[10] = static_cast<char>(bytes[10] ^ 1);
  ASSERT_TRUE(base::write_file_atomic(live_, bytes).ok());
  EXPECT_GE(used(), 120);
}

TEST_F(DeadProcessTest, ATornFileIsNotBelieved) {
  ASSERT_EQ(::truncate(live_.c_str(), 5000), 0);
  EXPECT_GE(used(), 120);
}

// Killed between the marks: the record says what is to be, and is carried out.
TEST_F(DeadProcessTest, AnEndThatWasBegunIsFinished) {
  {
    auto live = std::move(*LiveFile::read(live_));
    auto& tables = live.tables();
    size_t flight = 0;
    while (tables.flights[flight].charges == 0) ++flight;
    auto& redo = tables.header.redo;
    redo.flight = static_cast<int64_t>(flight);
    redo.counters = 1;
    redo.counter[0] = tables.flights[flight].charge[0].counter;
    redo.spent[0] = 20 + 7;
    redo.valid = 1;
    tables.counters[static_cast<size_t>(redo.counter[0])].spent = 20 + 7;  // so far it came
  }
  EXPECT_EQ(used(), 27) << "neither lost nor counted twice";
}

}  // namespace
}  // namespace retort::accounts
