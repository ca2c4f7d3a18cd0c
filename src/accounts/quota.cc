#include "accounts/quota.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "accounts/key.h"
#include "accounts/quota_internal.h"
#include "base/check.h"
#include "base/log.h"

namespace retort::accounts {
namespace {

constexpr int kMostRounds = 1000;  // others may take what a round was granted
constexpr int64_t kRefusalHolds_ms = 50;
constexpr std::chrono::seconds kTick{1};
constexpr int64_t kLooks = 6;  // at the leases of others, in the time of one

}  // namespace

int64_t amount_of(const Amounts& amounts, Resource resource) {
  switch (resource) {
    case Resource::requests:
      return amounts.requests;
    case Resource::input_tokens:
      return amounts.input_tokens;
    case Resource::output_tokens:
      return amounts.output_tokens;
    case Resource::cost_micros:
      return amounts.cost_micros;
    case Resource::parallel:
      return 1;
  }
  return 0;
}

Result<std::unique_ptr<Quotas>> Quotas::open(const std::string& folder) {
  return open(folder, Options{});
}

Result<std::unique_ptr<Quotas>> Quotas::open(const std::string& folder, const Options& options) {
  RETORT_TRY_VOID(base::make_directories(folder));
  auto* clock = options.clock != nullptr ? options.clock : &base::system_clock();
  const std::string process = make_id("live-");
  RETORT_TRY(auto store,
             QuotaStore::open(
                 {.address = options.store.empty() ? base::join(folder, "quota.db") : options.store,
                  .process = process,
                  .lease_ms = options.lease_ms,
                  .clock = clock}));
  RETORT_TRY_VOID(settle_dead_processes(folder, store));
  const std::string path = base::join(folder, process);
  RETORT_TRY(auto lock, base::FileLock::acquire(path + ".lock"));
  RETORT_TRY(auto live, LiveFile::create(path));
  auto impl = std::make_unique<Impl>(std::move(store), std::move(live));
  impl->clock = clock;
  impl->options = options;
  impl->live_path = path;
  impl->live_lock = std::make_unique<base::FileLock>(std::move(lock));
  impl->flights.resize(kMaxFlights);
  impl->flight_deaths.resize(kMaxFlights);
  for (int64_t i = kMaxFlights - 1; i >= 0; --i) impl->free_flights.push_back(i);
  for (int64_t i = kMaxCounters - 1; i >= 0; --i) impl->free_slots.push_back(i);
  RETORT_TRY_VOID(impl->settle_others());
  RETORT_TRY_VOID(impl->read_limits());
  return std::unique_ptr<Quotas>(new Quotas(std::move(impl)));
}

Quotas::Quotas(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
  if (!impl_->options.background) return;
  impl_->ticker = std::thread([this] {
    std::unique_lock held(impl_->lock);
    auto next = std::chrono::steady_clock::now() + kTick;
    bool may_ask = true;  // not again before the next tick, where the store failed
    while (!impl_->ending) {
      const bool early = impl_->wake.wait_until(
          held, next, [&] { return impl_->ending || (may_ask && !impl_->low.empty()); });
      if (impl_->ending) break;
      held.unlock();
      const auto done = early ? ask_ahead() : tick();
      if (!done) base::log_warning("quotas: {}", done.error().text());
      may_ask = done.ok();
      if (!early) next = std::chrono::steady_clock::now() + kTick;
      held.lock();
    }
  });
}

Quotas::~Quotas() {
  {
    const std::lock_guard held(impl_->lock);
    impl_->ending = true;
  }
  impl_->wake.notify_all();
  if (impl_->ticker.joinable()) impl_->ticker.join();
  RETORT_CHECK(static_cast<int64_t>(impl_->free_flights.size()) == kMaxFlights,
               "reservations are left");
  // What cannot be told now is found in the live file by the next one to open the folder.
  const std::lock_guard store_held(impl_->store_lock);
  if (impl_->report(true) && impl_->store.leave()) {
    (void)base::remove_all(impl_->live_path);
    (void)base::remove_all(impl_->live_path + ".lock");
  }
}

Result<void> Quotas::set_limit(const Limit& limit) {
  const std::lock_guard held(impl_->store_lock);
  RETORT_TRY_VOID(impl_->store.set_limit(limit));
  RETORT_TRY_VOID(impl_->read_limits());
  return {};
}

Result<void> Quotas::remove_limit(const Limit& limit) {
  const std::lock_guard held(impl_->store_lock);
  RETORT_TRY_VOID(impl_->store.remove_limit(limit));
  RETORT_TRY_VOID(impl_->read_limits());
  return {};
}

Result<std::vector<Limit>> Quotas::limits() {
  const std::lock_guard held(impl_->store_lock);
  return impl_->store.limits();
}

Result<Admission> Quotas::reserve(const std::vector<Subject>& subjects, const Amounts& most) {
  for (int round = 0; round < kMostRounds; ++round) {
    if (!impl_->has_lease()) RETORT_TRY_VOID(impl_->renew_lease());
    {
      const std::lock_guard held(impl_->lock);
      RETORT_TRY(auto taken, impl_->charges(subjects, most));
      if (impl_->fits(taken)) {
        RETORT_TRY(const int64_t flight, impl_->take(std::move(taken)));
        return Admission{Reservation(this, flight), {}};
      }
      if (auto refusal = impl_->known_refusal(taken)) return Admission{{}, std::move(refusal)};
    }
    RETORT_TRY(auto refusal, impl_->ask_store(subjects, most));
    if (refusal) return Admission{{}, std::move(refusal)};
  }
  return base::storage_error("the quotas are too busy to grant this request", impl_->live_path,
                             "try again");
}

// One at a time asks the store; who waited looks first whether the grant of the one before it is
// enough for both.
Result<std::optional<Refusal>> Quotas::Impl::ask_store(const std::vector<Subject>& subjects,
                                                       const Amounts& most) {
  const std::lock_guard store_held(store_lock);
  std::vector<Want> wanted;
  {
    const std::lock_guard held(lock);
    RETORT_TRY(const auto taken, charges(subjects, most));
    if (fits(taken)) return std::optional<Refusal>{};
    wanted = wants(taken);
  }
  auto asked = store.grant(wanted);
  RETORT_TRY_VOID(heed(asked ? Result<void>() : Result<void>(asked.error())));
  auto& answer = *asked;
  const std::lock_guard held(lock);
  if (!answer.refusal) {
    RETORT_TRY_VOID(take_grants(wanted, answer.given));
    return std::optional<Refusal>{};
  }
  for (const auto& want : wanted) {
    auto& counter = counter_of(want);
    counter.asked_ms = clock->monotonic_ms();
    if (answer.refusal->limit != want.limit) continue;
    counter.unclaimed = answer.refusal->remaining;
    counter.refused_until = counter.asked_ms + kRefusalHolds_ms;
    answer.refusal->asked = amount_of(most, want.limit.resource);
    answer.refusal->remaining += counter.free();
  }
  return answer.refusal;
}

// Of a limit that is reached nobody needs to be told yet: the request that needs it will ask.
Result<void> Quotas::Impl::ask_ahead() {
  std::vector<Want> wanted;
  {
    const std::lock_guard held(lock);
    wanted = wants_ahead();
  }
  return ask_each(wanted);
}

Result<void> Quotas::Impl::ask_each(const std::vector<Want>& wanted) {
  if (wanted.empty()) return {};
  const auto given = store.grant_each(wanted);
  RETORT_TRY_VOID(heed(given ? Result<void>() : Result<void>(given.error())));
  const std::lock_guard held(lock);
  return take_grants(wanted, *given);
}

// A part at a time, and without the lock in between: a request may need the store meanwhile.
Result<void> Quotas::Impl::ask_for_next_periods() {
  constexpr size_t kAtOnce = 100;
  while (true) {
    const std::lock_guard store_held(store_lock);
    std::vector<Want> wanted;
    {
      const std::lock_guard held(lock);
      wanted = wants_of_next(kAtOnce);
    }
    if (wanted.empty()) return {};
    RETORT_TRY_VOID(ask_each(wanted));
  }
}

bool Quotas::note_progress(int64_t flight, const Amounts& so_far) {
  bool may_go_on = true;
  // Only its owner touches a flight between take and finish.
  const auto& taken = impl_->flights[static_cast<size_t>(flight)];
  auto& charges = impl_->live.tables().flights[static_cast<size_t>(flight)].charge;
  for (size_t i = 0; i < taken.size(); ++i) {
    if (taken[i].resource == Resource::parallel) {
      const int64_t deaths = impl_->flight_deaths[static_cast<size_t>(flight)];
      may_go_on = deaths == impl_->deaths && impl_->has_lease();
      continue;
    }
    const int64_t amount = amount_of(so_far, taken[i].resource);
    write_mark(charges[i].produced, std::clamp<int64_t>(amount, 0, taken[i].amount));
  }
  return may_go_on;
}

void Quotas::finish(int64_t flight, const Amounts* used) {
  if (used != nullptr) note_progress(flight, *used);
  const std::lock_guard held(impl_->lock);
  auto& taken = impl_->flights[static_cast<size_t>(flight)];
  auto& tables = impl_->live.tables();
  auto& redo = tables.header.redo;
  redo.flight = flight;
  redo.counters = static_cast<int64_t>(taken.size());
  for (size_t i = 0; i < taken.size(); ++i) {
    auto& counter = *taken[i].counter;
    counter.reserved -= taken[i].amount;
    counter.spent += tables.flights[static_cast<size_t>(flight)].charge[i].produced;
    counter.touched = true;
    redo.counter[i] = counter.slot;
    redo.spent[i] = counter.spent;
  }
  write_mark(redo.valid, 1);
  impl_->live.apply_redo();
  taken.clear();
  impl_->free_flights.push_back(flight);
}

// Under new limits everything that was granted under the old ones goes back first.
Result<void> Quotas::tick() {
  {
    const std::lock_guard store_held(impl_->store_lock);
    RETORT_TRY(const bool changed, impl_->read_limits());
    RETORT_TRY_VOID(impl_->report(changed));
    RETORT_TRY_VOID(impl_->heed(impl_->store.renew_if_due()));
    RETORT_TRY_VOID(impl_->settle_others());
    RETORT_TRY_VOID(impl_->forget_minutes());
  }
  return impl_->ask_for_next_periods();
}

Result<void> Quotas::ask_ahead() {
  const std::lock_guard store_held(impl_->store_lock);
  return impl_->ask_ahead();
}

Result<void> Quotas::Impl::report(bool all) {
  std::vector<Report> made;
  {
    const std::lock_guard held(lock);
    made = reports(all);
  }
  RETORT_TRY_VOID(heed(store.report(made)));
  const std::lock_guard held(lock);
  reported(made);
  is_unsure = false;
  return {};
}

Result<void> Quotas::Impl::settle_others() {
  if (!store.is_shared()) return {};
  const int64_t now_ms = clock->monotonic_ms();
  if (settled_ms != 0 && now_ms - settled_ms < options.lease_ms / kLooks) return {};
  settled_ms = now_ms;
  return store.settle_expired();
}

// A limit and minute leave a row; without this the store would grow for ever.
Result<void> Quotas::Impl::forget_minutes() {
  constexpr int64_t kEveryMs = 3'600'000;
  const int64_t now_ms = clock->monotonic_ms();
  if (forgot_ms != 0 && now_ms - forgot_ms < kEveryMs) return {};
  RETORT_TRY(const bool more, store.forget_minutes());
  forgot_ms = more ? 0 : now_ms;
  return {};
}

Result<void> Quotas::Impl::heed(Result<void> done) {
  const std::lock_guard held(lock);
  if (!done) is_unsure = true;
  lease_ends_ms = store.lease_ends_ms();
  if (deaths == store.deaths()) return done;
  deaths = store.deaths();
  // What counts as used may still be handed out. A place that was given to somebody else may not:
  // what is under way there ends at its next progress, and until then takes a new place.
  for (auto& [key, counter] : counters) {
    if (counter.limit.resource == Resource::parallel) counter.spent = counter.granted;
  }
  return done;
}

Result<void> Quotas::Impl::renew_lease() {
  const std::lock_guard store_held(store_lock);
  if (has_lease()) return {};  // whoever held the lock before has done it
  return heed(store.renew());
}

Result<bool> Quotas::Impl::read_limits() {
  RETORT_TRY(const int64_t version, store.limits_version());
  if (version == limits_version) return false;
  RETORT_TRY(auto read, store.limits());
  const std::lock_guard held(lock);
  limits.clear();
  for (auto& one : read) limits[one.subject].push_back(std::move(one));
  ++changes;
  limits_version = version;
  return true;
}

bool Quotas::binds(const std::vector<Subject>& subjects, Resource resource) {
  const std::lock_guard held(impl_->lock);
  const auto& bound = impl_->limits_of(subjects, impl_->clock->wall_ms()).all;
  return std::any_of(bound.begin(), bound.end(),
                     [resource](const Bound& one) { return one.limit.resource == resource; });
}

std::vector<Standing> Quotas::standing(const std::vector<Subject>& subjects) {
  const std::lock_guard held(impl_->lock);
  const auto& bound = impl_->limits_of(subjects, impl_->clock->wall_ms()).all;
  std::vector<Standing> out;
  out.reserve(bound.size());
  for (const auto& one : bound) {
    const int64_t most = one.limit.most;
    const int64_t left =
        one.counter == nullptr ? most : one.counter->unclaimed + one.counter->free();
    out.push_back({one.limit.resource, most, std::clamp<int64_t>(left, 0, most), one.end_ms});
  }
  return out;
}

Result<int64_t> Quotas::used(const Limit& limit, int64_t at_ms) {
  const std::lock_guard held(impl_->store_lock);
  return impl_->store.used(limit, period_start_ms(limit.window, at_ms));
}

Reservation::Reservation(Reservation&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)), flight_(other.flight_) {}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  if (this == &other) return *this;
  if (owner_ != nullptr) owner_->finish(flight_, nullptr);
  owner_ = std::exchange(other.owner_, nullptr);
  flight_ = other.flight_;
  return *this;
}

Reservation::~Reservation() {
  if (owner_ != nullptr) owner_->finish(flight_, nullptr);
}

bool Reservation::progress(const Amounts& so_far) {
  RETORT_CHECK(owner_ != nullptr, "nothing is reserved");
  return owner_->note_progress(flight_, so_far);
}

void Reservation::settle(const Amounts& used) {
  RETORT_CHECK(owner_ != nullptr, "nothing is reserved");
  std::exchange(owner_, nullptr)->finish(flight_, &used);
}

}  // namespace retort::accounts
