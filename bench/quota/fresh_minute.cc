#include "quota/fresh_minute.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <vector>

#include "accounts/quota.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/files.h"

namespace retort::bench {
namespace {

using accounts::Quotas;
using accounts::Resource;
using accounts::Window;

constexpr int kAccounts = 100;
constexpr int64_t kBefore_ms = 8000, kAfter_ms = 1000;
constexpr int64_t kPause_us = 500;  // between two requests: 20 a second of an account
constexpr int64_t kTokens = 100;

// The machine's time, but that a minute ends when it is wanted.
class ShiftedClock : public base::Clock {
 public:
  explicit ShiftedClock(int64_t until_next_minute_ms) {
    const int64_t wall_ms = base::system_clock().wall_ms();
    shift_ms_ = accounts::period_end_ms(Window::minute, wall_ms) - until_next_minute_ms - wall_ms;
  }
  int64_t monotonic_ms() const override { return base::system_clock().monotonic_ms(); }
  int64_t wall_ms() const override { return base::system_clock().wall_ms() + shift_ms_; }
  void sleep_ms(int64_t duration_ms) override { base::system_clock().sleep_ms(duration_ms); }

 private:
  int64_t shift_ms_ = 0;
};

struct Account {
  std::string subject;
  accounts::Limit tokens;
  int64_t used = 0;
};

double request_ms(Quotas& quotas, Account& account) {
  const double begin_s = base::monotonic_seconds();
  auto admitted = quotas.reserve({account.subject}, {.output_tokens = 5 * kTokens});
  const double took_s = base::monotonic_seconds() - begin_s;
  RETORT_CHECK(admitted.ok() && admitted->admitted(), "nothing was granted");
  admitted->reservation.settle({.output_tokens = kTokens});
  account.used += kTokens;
  return took_s * 1000;
}

void print(const std::string& name, const char* when, std::vector<double>& took_ms) {
  std::sort(took_ms.begin(), took_ms.end());
  const auto at = [&](double share) {
    return took_ms[static_cast<size_t>(share * static_cast<double>(took_ms.size() - 1))];
  };
  std::printf("%-28s %-34s p50 %7.3f  p99 %7.3f  worst %7.3f ms, of %zu\n", name.c_str(), when,
              at(0.5), at(0.99), at(1), took_ms.size());
}

}  // namespace

void measure_fresh_minute(const std::string& name, const std::string& folder,
                          const std::string& store) {
  ShiftedClock clock(kBefore_ms);
  auto quotas = std::move(*Quotas::open(folder, {.clock = &clock, .store = store}));
  std::vector<Account> all;
  for (int i = 0; i < kAccounts; ++i) {
    const std::string subject = "account:fresh" + std::to_string(i);
    all.push_back({subject, {subject, Resource::output_tokens, Window::minute, 1'000'000}});
    RETORT_CHECK(quotas->set_limit(all.back().tokens).ok(), "no limit");
    RETORT_CHECK(quotas->set_limit({subject, Resource::requests, Window::minute, 10'000}).ok(),
                 "no limit");
  }
  const int64_t minute_ms = accounts::period_end_ms(Window::minute, clock.wall_ms());
  std::vector<double> before_ms, first_ms, after_ms;
  std::vector<int64_t> used_before(all.size());
  for (size_t asked = 0; clock.wall_ms() < minute_ms + kAfter_ms; ++asked) {
    auto& account = all[asked % all.size()];
    const int64_t left_ms = minute_ms - clock.wall_ms();
    const double took_ms = request_ms(*quotas, account);
    if (left_ms > 0) used_before[asked % all.size()] = account.used;
    if (left_ms > 0 && left_ms < kBefore_ms / 4) before_ms.push_back(took_ms);
    if (left_ms <= 0) (first_ms.size() < all.size() ? first_ms : after_ms).push_back(took_ms);
    ::usleep(kPause_us);
  }
  // Right before it is fast: each minute has what was settled in it.
  RETORT_CHECK(quotas->tick().ok(), "no report");
  for (size_t i = 0; i < all.size(); ++i) {
    RETORT_CHECK(*quotas->used(all[i].tokens, minute_ms - 1) == used_before[i], "another sum");
    RETORT_CHECK(*quotas->used(all[i].tokens, minute_ms) == all[i].used - used_before[i],
                 "another sum");
  }
  print(name, "the last two seconds of a minute", before_ms);
  print(name, "each account's first of the next", first_ms);
  print(name, "those after it", after_ms);
}

}  // namespace retort::bench
