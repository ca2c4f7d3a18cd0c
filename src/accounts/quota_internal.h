// The part of the quotas that works in memory. Two locks, always taken in this order: `store_lock`
// around the store, `lock` around everything else; a reservation that fits its grants takes the
// second only.
#pragma once
#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "accounts/quota.h"
#include "accounts/quota_live_internal.h"
#include "accounts/quota_store_internal.h"
#include "base/files.h"

namespace retort::accounts {

// A limit in one period, as far as this process is concerned. granted, spent: totals since its row
// in the store was made; reserved: by flights. What may be handed out is granted - spent -
// reserved.
struct Counter {
  Limit limit;
  int64_t start_ms = 0;
  int64_t slot = -1;  // in the live file; -1: no grant yet
  int64_t row = 0;    // this process's number for it in the store; 0: it was never asked
  int64_t granted = 0, spent = 0, reserved = 0;
  int64_t reported = 0;
  int64_t unclaimed = 0;  // in the store when it was asked last
  int64_t wish = 0;
  int64_t usual = 0;          // what a request took last
  int64_t asked_ms = 0;       // when the store was asked last (monotonic)
  int64_t refused_until = 0;  // until then the store need not be asked for more than is unclaimed
  bool touched = false;       // since the last tick
  bool asked_next = false;    // for the period after this one as well
  bool is_low = false;        // the ticker has been told to ask for more
  bool last = false;          // its row goes with the report that is being made
  int64_t free() const { return granted - spent - reserved; }
};

using CounterKey = std::tuple<Subject, Resource, Window, int64_t>;  // with the period's start

// The limits that bind some subjects, with their periods' counters, until one of these ends or
// anything changes in what limits and counters there are.
struct Bound {
  Limit limit;
  int64_t start_ms = 0, end_ms = 0;  // of the period
  Counter* counter = nullptr;        // null: nobody asked for any of it yet
};
struct BoundLimits {
  uint64_t changes = 0;                // as it was when they were looked up
  int64_t since_ms = 0, until_ms = 0;  // wall time: these periods are under way
  std::vector<Bound> all{};
};
struct SubjectsHash {
  size_t operator()(const std::vector<Subject>& subjects) const {
    size_t out = 0;
    for (const auto& one : subjects) out = out * 31 + std::hash<Subject>()(one);
    return out;
  }
};

// What one reservation takes from one counter. Counters that flights use are never removed.
struct Taken {
  Counter* counter = nullptr;
  int64_t amount = 0;
  Resource resource = Resource::requests;  // the counter's limit may be read with the lock alone
};

struct Quotas::Impl {
  Impl(QuotaStore opened, LiveFile mapped) : store(std::move(opened)), live(std::move(mapped)) {}

  base::Clock* clock = nullptr;
  Options options;
  std::string live_path;
  std::unique_ptr<base::FileLock> live_lock;

  std::mutex store_lock;
  QuotaStore store;
  int64_t limits_version = -1;
  int64_t settled_ms = 0;  // when leases of others were looked at last
  int64_t forgot_ms = 0;   // ... minutes long over; 0: some are left
  // Until when what is held may be handed out, and how often this process counted as gone.
  std::atomic<int64_t> lease_ends_ms{INT64_MAX};
  std::atomic<int64_t> deaths{0};

  std::mutex lock;
  LiveFile live;
  std::map<Subject, std::vector<Limit>, std::less<>> limits;
  std::map<CounterKey, Counter> counters;
  uint64_t changes = 0;  // of `limits`, and of which counters there are
  std::unordered_map<std::vector<Subject>, BoundLimits, SubjectsHash> looked_up;
  std::vector<int64_t> free_slots, free_flights;
  std::vector<std::vector<Taken>> flights;  // by flight
  std::vector<int64_t> flight_deaths;       // `deaths` when it began
  int64_t last_row = 0;
  bool is_unsure = false;  // an answer of the store was lost: everything is reported again

  std::vector<CounterKey> low;  // what is to be asked for before it runs out

  std::thread ticker;
  std::condition_variable wake;
  bool ending = false;

  // With `lock` held.
  BoundLimits& limits_of(const std::vector<Subject>& subjects, int64_t now_ms);
  Result<std::vector<Taken>> charges(const std::vector<Subject>& subjects, const Amounts& most);
  bool fits(const std::vector<Taken>& taken) const;
  std::optional<Refusal> known_refusal(const std::vector<Taken>& taken) const;
  Result<int64_t> take(std::vector<Taken> taken);
  Want want(Counter& counter, int64_t need, int64_t size);
  std::vector<Want> wants(const std::vector<Taken>& taken);
  // Tells the ticker which grants are half used up, where the store has plenty.
  void note_low(const std::vector<Taken>& taken);
  std::vector<Want> wants_ahead();
  // For periods that begin soon, of limits that are in use now; `most` wants.
  std::vector<Want> wants_of_next(size_t most);
  std::optional<Want> want_of_next(Counter& counter);
  bool is_coming(const Counter& counter) const;
  Counter& counter_of(const Want& want);
  Result<void> take_grants(const std::vector<Want>& wanted, const std::vector<Given>& given);
  std::vector<Report> reports(bool all);
  void reported(const std::vector<Report>& reports);
  void write_granted(const Counter& counter);

  // With `store_lock` held. True: they are others than before.
  Result<bool> read_limits();
  Result<void> report(bool all);
  // Asks for what will soon be needed, so that no request has to wait for the store.
  Result<void> ask_ahead();
  Result<void> ask_each(const std::vector<Want>& wanted);
  Result<void> settle_others();
  Result<void> forget_minutes();
  // What a call of the store's has come to; returns it.
  Result<void> heed(Result<void> done);
  // With none.
  Result<std::optional<Refusal>> ask_store(const std::vector<Subject>& subjects,
                                           const Amounts& most);
  Result<void> ask_for_next_periods();
  Result<void> renew_lease();
  bool has_lease() const {
    return lease_ends_ms == INT64_MAX || clock->monotonic_ms() < lease_ends_ms;
  }
};

// Of one resource.
int64_t amount_of(const Amounts& amounts, Resource resource);

// Settles what dead processes of this folder have left, in its file or on the server.
Result<void> settle_dead_processes(const std::string& folder, QuotaStore& store);

}  // namespace retort::accounts
