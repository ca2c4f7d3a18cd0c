// Two processes with many threads each are killed again and again in the midst of what they do, one
// of them or both; on a server, which crashes now and then, each in a folder of its own, as on two
// machines. What was admitted never exceeds the limit, and what the store says afterwards is what
// was produced.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <functional>
#include <thread>

#include "accounts/quota.h"
#include "accounts/quota_live_internal.h"
#include "accounts/quotas_testing_internal.h"
#include "base/files.h"
#include "base/random.h"
#include "store/database.h"

namespace retort::accounts {
namespace {

constexpr int kThreads = 64;
constexpr int64_t kMostTokens = 500'000;
constexpr int kMostRounds = 300;
constexpr int64_t kParallel = 24;
constexpr size_t kMinutes = 64;
constexpr int64_t kMostInMinute = 2000;

// In memory that outlives the children, counted by them right beside what they tell the quotas.
struct Seen {
  std::atomic<int64_t> produced{0};  // told before it is counted: never more than the store knows
  std::atomic<int64_t> about_to{0};  // counted before it is told: never less
  std::array<std::atomic<int64_t>, 2> under_way{};  // by child
  std::atomic<int64_t> most_under_way{0};
  // By minute of the fast clock.
  std::array<std::atomic<int64_t>, kMinutes> produced_in{}, about_to_in{};
};

// A minute a second, for all processes alike.
class FastClock : public base::Clock {
 public:
  int64_t monotonic_ms() const override { return base::system_clock().monotonic_ms(); }
  int64_t wall_ms() const override { return start_ms_ + 60 * (monotonic_ms() - begun_ms_); }
  void sleep_ms(int64_t duration_ms) override { base::system_clock().sleep_ms(duration_ms); }
  size_t minute() const {
    return std::min(static_cast<size_t>((wall_ms() - start_ms_) / 60'000), kMinutes - 1);
  }
  int64_t minute_ms(size_t minute) const {
    return start_ms_ + static_cast<int64_t>(minute) * 60'000;
  }

 private:
  const int64_t start_ms_ = 1'800'000'000'000, begun_ms_ = monotonic_ms();
};

const Limit kTokens = {"account:a", Resource::output_tokens, Window::month, kMostTokens};
const Limit kInMinute = {"account:a", Resource::output_tokens, Window::minute, kMostInMinute};
const Limit kAtOnce = {"all", Resource::parallel, Window::now, kParallel};

void produce(Quotas& quotas, Seen& seen, size_t self, base::Random& random) {
  const auto most = static_cast<int64_t>(1 + random.below(30));
  auto admitted = quotas.reserve({"account:a", "all"}, {.output_tokens = most});
  if (!admitted || !admitted->admitted()) {
    ::usleep(200);
    return;
  }
  const int64_t at_once = ++seen.under_way[self] + seen.under_way[1 - self];
  int64_t before = seen.most_under_way;
  while (before < at_once && !seen.most_under_way.compare_exchange_weak(before, at_once)) {
  }
  const auto produced = static_cast<int64_t>(random.below(most + 1));
  for (int64_t i = 1; i <= produced; ++i) {
    ++seen.about_to;
    (void)admitted->reservation.progress({.output_tokens = i});
    ++seen.produced;
    if (i % 2 == 0) ::usleep(100);  // so that a kill finds many in the midst of it
  }
  --seen.under_way[self];  // before the place is free for another
  admitted->reservation.settle({.output_tokens = produced});
}

// Between two minutes nobody knows from outside in which one it counts. Every second minute is a
// calm one, at whose end there is still enough for others, so that some of the next is taken ahead.
void produce_in_minute(Quotas& quotas, Seen& seen, const FastClock& clock, base::Random& random) {
  const size_t before = clock.minute();
  const bool calm = before % 2 == 1;
  const auto most = static_cast<int64_t>(1 + random.below(calm ? 2 : 30));
  auto admitted = quotas.reserve({"account:a"}, {.output_tokens = most});
  const size_t after = clock.minute();
  if (!admitted || !admitted->admitted()) {
    ::usleep(2000);
    return;
  }
  const auto produced = static_cast<int64_t>(random.below(most + 1));
  for (int64_t i = 1; i <= produced; ++i) {
    for (size_t minute = before; minute <= after; ++minute) ++seen.about_to_in[minute];
    (void)admitted->reservation.progress({.output_tokens = i});
    if (before == after) ++seen.produced_in[before];
    if (i % 8 == 0) ::usleep(100);
  }
  admitted->reservation.settle({.output_tokens = produced});
  if (calm) ::usleep(static_cast<useconds_t>(100'000 + random.below(200'000)));
}

class QuotaKillTest : public QuotaStoresTest {
 protected:
  void SetUpStore() override {
    QuotaStoresTest::SetUpStore();
    void* memory =
        ::mmap(nullptr, sizeof(Seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    seen_ = new (memory) Seen;
  }
  void TearDown() override {
    if (seen_ != nullptr) ::munmap(seen_, sizeof(Seen));
    StoresTest::TearDown();
  }

  // Both in one on one machine; on two machines each in its own.
  std::string folder_of(size_t child) const {
    return is_server() ? base::join(folder_, std::to_string(child)) : folder_;
  }
  Result<std::unique_ptr<Quotas>> open(size_t child) const {
    return Quotas::open(folder_of(child), {.background = false, .store = store_});
  }

  std::unique_ptr<Quotas> open_patiently(size_t self, const Quotas::Options& options) const {
    auto quotas = Quotas::open(folder_of(self), options);
    for (int i = 0; !quotas && i < 200; ++i) {  // the server may just be starting
      ::usleep(50'000);
      quotas = Quotas::open(folder_of(self), options);
    }
    if (!quotas) ::_exit(1);
    return std::move(*quotas);
  }
  [[noreturn]] static void work(uint64_t seed, const std::function<void(base::Random&)>& once) {
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        base::Random random(seed, static_cast<uint64_t>(thread));
        while (true) once(random);
      });
    }
    for (auto& thread : threads) thread.join();
    ::_exit(0);
  }
  pid_t start(size_t child, uint64_t seed) const {
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    auto quotas = open_patiently(child, {.store = store_});
    work(seed, [&](base::Random& random) { produce(*quotas, *seen_, child, random); });
  }
  // Its ticks are as fast as its clock.
  pid_t start_in_minutes(size_t child, uint64_t seed) {
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    auto quotas =
        open_patiently(child, {.clock = &fast_clock_, .background = false, .store = store_});
    std::thread ticker([&] {
      while (true) {
        (void)quotas->tick();
        (void)quotas->ask_ahead();
        ::usleep(1'000'000 / 60);
      }
    });
    work(seed,
         [&](base::Random& random) { produce_in_minute(*quotas, *seen_, fast_clock_, random); });
  }
  static void kill(pid_t pid) {
    int status = 0;
    ::kill(pid, SIGKILL);
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << status;
  }

  // Its folder is opened again: what it left is settled.
  int64_t settle(size_t child) {
    seen_->under_way[child] = 0;  // whoever was under way there is nobody's any more
    auto quotas = open(child);
    EXPECT_TRUE(quotas.ok()) << quotas.error().text();
    return quotas ? (*quotas)->used(kTokens, base::system_clock().wall_ms()).value_or(-1) : -1;
  }

  // Until so long before it.
  void wait_for_end_of_minute(uint64_t before_ms) const {
    const int64_t ends_ms = fast_clock_.minute_ms(fast_clock_.minute() + 1);
    const int64_t left_ms =
        (ends_ms - fast_clock_.wall_ms()) / 60 - static_cast<int64_t>(before_ms);
    if (left_ms > 0) base::system_clock().sleep_ms(left_ms);
  }
  int64_t held_of_minutes_after(int64_t wall_ms) const {
    auto held = database();
    auto row = *held->prepare("SELECT count(*) FROM holdings WHERE start_ms > ?1");
    row.bind(1, wall_ms);
    return *row.step() ? row.integer(0) : -1;
  }

  FastClock fast_clock_;
  Seen* seen_ = nullptr;
};
RETORT_OVER_BOTH_STORES(QuotaKillTest);

TEST_P(QuotaKillTest, TwoProcessesKilledAgainAndAgainNeverPassTheLimit) {
  {
    auto quotas = std::move(*open(0));
    ASSERT_TRUE(quotas->set_limit(kTokens).ok());
    ASSERT_TRUE(quotas->set_limit(kAtOnce).ok());
  }
  base::Random random(11);
  std::array<pid_t, 2> pids = {start(0, random.next()), start(1, random.next())};
  int64_t used = 0;
  int both = 0, rounds = 0;
  for (; used <= kMostTokens - 30 && rounds < kMostRounds; ++rounds) {
    ::usleep(static_cast<useconds_t>(10'000 + random.below(120'000)));
    if (is_server() && rounds % 8 == 5) store::TestCluster::get()->crash();
    const uint64_t choice = random.below(3);
    const std::array<bool, 2> dies = {choice != 1, choice != 0};
    for (size_t i = 0; i < 2; ++i) {
      if (dies[i]) kill(pids[i]);
    }
    for (size_t i = 0; i < 2; ++i) {
      if (dies[i]) used = settle(i);
    }
    ASSERT_LE(used, kMostTokens);
    if (choice == 2) {
      ++both;
      EXPECT_LE(seen_->produced.load(), used) << "round " << rounds;
      EXPECT_GE(seen_->about_to.load(), used) << "round " << rounds;
    }
    for (size_t i = 0; i < 2; ++i) {
      if (dies[i]) pids[i] = start(i, random.next());
    }
  }
  for (size_t i = 0; i < 2; ++i) kill(pids[i]);
  for (size_t i = 0; i < 2; ++i) used = settle(i);
  EXPECT_LE(used, kMostTokens);
  EXPECT_LE(seen_->produced.load(), used);
  EXPECT_GE(seen_->about_to.load(), used);
  EXPECT_LE(seen_->most_under_way.load(), kParallel);
  EXPECT_GT(used, kMostTokens - 30) << "what is left at the end fits nobody";
  EXPECT_GT(both, 2) << "too few kills to say anything";
}

// Killed at any instant of a minute, and of what of the next one was taken ahead.
TEST_P(QuotaKillTest, NorTheLimitOfAnyMinute) {
  ASSERT_TRUE((*open(0))->set_limit(kInMinute).ok());
  base::Random random(12);
  std::array<pid_t, 2> pids = {start_in_minutes(0, random.next()),
                               start_in_minutes(1, random.next())};
  int64_t ahead = 0;
  while (fast_clock_.minute() < 12) {
    ::usleep(static_cast<useconds_t>(50'000 + random.below(400'000)));
    if (random.below(2) == 0) wait_for_end_of_minute(random.below(50));
    const uint64_t choice = random.below(3);
    const std::array<bool, 2> dies = {choice != 1, choice != 0};
    const int64_t killed_ms = fast_clock_.wall_ms();
    for (size_t i = 0; i < 2; ++i) {
      if (dies[i]) kill(pids[i]);
    }
    ahead += held_of_minutes_after(killed_ms);
    for (size_t i = 0; i < 2; ++i) {
      if (!dies[i]) continue;
      settle(i);
      pids[i] = start_in_minutes(i, random.next());
    }
  }
  for (size_t i = 0; i < 2; ++i) kill(pids[i]);
  for (size_t i = 0; i < 2; ++i) settle(i);
  EXPECT_GT(ahead, 0) << "nothing was killed that had taken any ahead";
  auto quotas = std::move(*open(0));
  int full = 0;
  for (size_t minute = 0; minute <= fast_clock_.minute(); ++minute) {
    const int64_t used = *quotas->used(kInMinute, fast_clock_.minute_ms(minute));
    EXPECT_LE(used, kMostInMinute) << minute;
    EXPECT_LE(seen_->produced_in[minute].load(), used) << minute;
    EXPECT_GE(seen_->about_to_in[minute].load(), used) << minute;
    if (used > kMostInMinute - 30) ++full;
  }
  EXPECT_GT(full, 0) << "the limit was hardly ever met";
}

class DeadProcessTest : public StoresTest {
 protected:
  void SetUpStore() override {
    if (is_server()) store_ = store_address(StoreKind::server, "");
    ASSERT_TRUE((*open())->set_limit(kTokens).ok());
    const pid_t pid = ::fork();
    if (pid == 0) {  // dies with 100 tokens reserved and 7 produced, after 20 that were settled
      auto quotas = *open();
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
  Result<std::unique_ptr<Quotas>> open() const {
    return Quotas::open(folder_, {.store = store_, .lease_ms = kLease_ms});
  }
  int64_t used() const { return *(*open())->used(kTokens, base::system_clock().wall_ms()); }

  static constexpr int64_t kLease_ms = 1500;
  std::string store_, live_;
};
RETORT_OVER_BOTH_STORES(DeadProcessTest);

TEST_P(DeadProcessTest, HasUsedWhatItProduced) {
  EXPECT_EQ(used(), 27);
  EXPECT_EQ(used(), 27) << "and only once";
  EXPECT_FALSE(base::exists(live_));
}

TEST_P(DeadProcessTest, WithoutItsFileAllThatItWasGrantedCounts) {
  ASSERT_TRUE(base::remove_all(live_).ok());
  if (is_server()) {
    EXPECT_LT(used(), 120) << "it may live on another machine";
    ::usleep((kLease_ms + 200) * 1000);
  }
  EXPECT_GE(used(), 120);
}

TEST_P(DeadProcessTest, AFileOfAnotherBootIsNotBelieved) {
  auto bytes = *base::read_file(live_, int64_t{64} << 20);
  bytes[10] = static_cast<char>(bytes[10] ^ 1);
  ASSERT_TRUE(base::write_file_atomic(live_, bytes).ok());
  EXPECT_GE(used(), 120);
}

TEST_P(DeadProcessTest, ATornFileIsNotBelieved) {
  ASSERT_EQ(::truncate(live_.c_str(), 5000), 0);
  EXPECT_GE(used(), 120);
}

// Killed between the marks: the record says what is to be, and is carried out.
TEST_P(DeadProcessTest, AnEndThatWasBegunIsFinished) {
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
