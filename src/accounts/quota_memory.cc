// Quotas in memory: what a request takes, grants, and what is reported. Everything here with the
// lock held.
#include <algorithm>
#include <utility>

#include "accounts/quota_internal.h"
#include "base/check.h"

namespace retort::accounts {
namespace {

constexpr int64_t kQuick_ms = 1000;   // a grant that is used up sooner was too small
constexpr int64_t kSlow_ms = 10'000;  // one that lasts longer was too large
constexpr int64_t kAhead_ms = 5000;   // before a period begins, grants of it may be taken
// Of a limit, one part is so little that a process may hold it before anybody has asked for any,
// and must give back what lies idle once no more is left.
constexpr int64_t kParts = 16;

}  // namespace

BoundLimits& Quotas::Impl::limits_of(const std::vector<Subject>& subjects, int64_t now_ms) {
  constexpr size_t kKept = 10'000;
  const auto known = looked_up.find(subjects);
  const bool fresh = known != looked_up.end() && known->second.changes == changes &&
                     now_ms < known->second.until_ms && now_ms >= known->second.since_ms;
  if (fresh) return known->second;
  if (looked_up.size() >= kKept) looked_up.clear();
  BoundLimits& out =
      looked_up[subjects] = {.changes = changes, .since_ms = 0, .until_ms = INT64_MAX};
  for (const auto& subject : subjects) {
    const auto found = limits.find(subject);
    if (found == limits.end()) continue;
    for (const auto& limit : found->second) {
      const int64_t start_ms = period_start_ms(limit.window, now_ms);
      const int64_t end_ms = period_end_ms(limit.window, now_ms);
      const auto found_counter = counters.find({subject, limit.resource, limit.window, start_ms});
      Counter* counter = found_counter == counters.end() ? nullptr : &found_counter->second;
      if (counter != nullptr) counter->limit = limit;
      out.all.push_back({limit, start_ms, end_ms, counter});
      out.since_ms = std::max(out.since_ms, start_ms);
      if (end_ms != 0) out.until_ms = std::min(out.until_ms, end_ms);
    }
  }
  return out;
}

Result<std::vector<Taken>> Quotas::Impl::charges(const std::vector<Subject>& subjects,
                                                 const Amounts& most) {
  BoundLimits& bound = limits_of(subjects, clock->wall_ms());
  std::vector<Taken> out;
  out.reserve(bound.all.size());
  for (auto& one : bound.all) {
    const Limit& limit = one.limit;
    const int64_t amount = amount_of(most, limit.resource);
    if (amount < 0) return base::bad_input("an amount below 0 cannot be reserved", limit.subject);
    if (amount == 0) continue;
    if (one.counter == nullptr) {
      one.counter = &counters[{limit.subject, limit.resource, limit.window, one.start_ms}];
      one.counter->limit = limit;
      one.counter->start_ms = one.start_ms;
      bound.changes = ++changes;
    }
    one.counter->touched = true;
    out.push_back({one.counter, amount, limit.resource});
  }
  if (static_cast<int64_t>(out.size()) > kMaxCharges) {
    return base::storage_error("more limits bind this request than can be counted", live_path,
                               "take some of them away");
  }
  return out;
}

bool Quotas::Impl::fits(const std::vector<Taken>& taken) const {
  return std::all_of(taken.begin(), taken.end(),
                     [](const Taken& one) { return one.counter->free() >= one.amount; });
}

// A flood of requests beyond a limit is not worth a transaction each.
std::optional<Refusal> Quotas::Impl::known_refusal(const std::vector<Taken>& taken) const {
  const int64_t now_ms = clock->monotonic_ms();
  for (const auto& one : taken) {
    const auto& counter = *one.counter;
    if (now_ms >= counter.refused_until) continue;
    const int64_t left = counter.free() + counter.unclaimed;
    if (one.amount <= left) continue;
    return Refusal{counter.limit, one.amount, std::max<int64_t>(0, left),
                   period_end_ms(counter.limit.window, counter.start_ms)};
  }
  return {};
}

Result<int64_t> Quotas::Impl::take(std::vector<Taken> taken) {
  if (free_flights.empty()) {
    return base::storage_error("too many requests are under way", live_path, "try again");
  }
  const int64_t flight = free_flights.back();
  free_flights.pop_back();
  auto& noted = live.tables().flights[static_cast<size_t>(flight)];
  for (size_t i = 0; i < taken.size(); ++i) {
    auto& counter = *taken[i].counter;
    counter.reserved += taken[i].amount;
    counter.usual = taken[i].amount;
    // The request itself counts from now on, whatever becomes of it.
    const bool is_request = counter.limit.resource == Resource::requests;
    noted.charge[i] = {counter.slot, counter.row, taken[i].amount,
                       is_request ? taken[i].amount : 0};
  }
  write_mark(noted.charges, static_cast<int64_t>(taken.size()));
  note_low(taken);
  flights[static_cast<size_t>(flight)] = std::move(taken);
  flight_deaths[static_cast<size_t>(flight)] = deaths;
  return flight;
}

// `size`: of a grant that begins, or that comes after one that lasted too long.
Want Quotas::Impl::want(Counter& counter, int64_t need, int64_t size) {
  if (counter.row == 0) counter.row = ++last_row;
  const int64_t lasted_ms = clock->monotonic_ms() - counter.asked_ms;
  if (counter.wish == 0 || lasted_ms >= kSlow_ms) {
    counter.wish = size;
  } else if (lasted_ms < kQuick_ms) {
    counter.wish = std::min(counter.wish * 2, INT64_MAX / 8);
  }
  return {.limit = counter.limit,
          .period_ms = counter.start_ms,
          .row = counter.row,
          .granted = counter.granted,
          .need = need,
          .wish = counter.wish};
}

std::vector<Want> Quotas::Impl::wants(const std::vector<Taken>& taken) {
  std::vector<Want> out;
  for (const auto& one : taken) {
    auto& counter = *one.counter;
    const int64_t need = one.amount - counter.free();
    if (need > 0) out.push_back(want(counter, need, one.amount * options.first_grant));
  }
  return out;
}

// Where the store could not give all that is wished, only the request that needs it asks, so that
// the last units go to whoever comes.
void Quotas::Impl::note_low(const std::vector<Taken>& taken) {
  for (const auto& one : taken) {
    auto& counter = *one.counter;
    const bool plenty = counter.unclaimed / 4 >= counter.wish;
    if (counter.is_low || !plenty || counter.free() >= counter.wish / 2) continue;
    counter.is_low = true;
    const auto& limit = counter.limit;
    low.emplace_back(limit.subject, limit.resource, limit.window, counter.start_ms);
    wake.notify_one();
  }
}

std::vector<Want> Quotas::Impl::wants_ahead() {
  std::vector<Want> out;
  for (const auto& key : std::exchange(low, {})) {
    const auto found = counters.find(key);
    if (found == counters.end()) continue;
    auto& counter = found->second;
    counter.is_low = false;
    // A request may have asked meanwhile.
    if (counter.wish > 0 && counter.free() < counter.wish / 2) {
      out.push_back(want(counter, 1, counter.usual * options.first_grant));
    }
  }
  return out;
}

bool Quotas::Impl::is_coming(const Counter& counter) const {
  const int64_t left_ms = counter.start_ms - clock->wall_ms();
  return left_ms > 0 && left_ms <= kAhead_ms;
}

std::vector<Want> Quotas::Impl::wants_of_next(size_t most) {
  constexpr size_t kLeft = kMaxCounters / 2;  // for requests that come now
  std::vector<Want> out;
  most = std::min(most, free_slots.size() - std::min(free_slots.size(), kLeft));
  for (auto at = counters.begin(); at != counters.end() && out.size() < most; ++at) {
    if (auto want = want_of_next(at->second)) out.push_back(std::move(*want));
  }
  if (!out.empty()) ++changes;
  return out;
}

// Once a period, so that what others need more goes back and is not asked for again. A request is
// not helped by less than it takes.
std::optional<Want> Quotas::Impl::want_of_next(Counter& counter) {
  const Limit& limit = counter.limit;
  const int64_t next_ms = period_end_ms(limit.window, counter.start_ms);
  const int64_t left_ms = next_ms - clock->wall_ms();
  const int64_t room = limit.most / kParts - counter.usual;
  if (next_ms == 0 || left_ms <= 0 || left_ms > kAhead_ms || counter.asked_next) return {};
  if (counter.usual == 0 || room < 0) return {};
  counter.asked_next = true;
  const auto [at, made] =
      counters.try_emplace({limit.subject, limit.resource, limit.window, next_ms});
  if (!made) return {};
  at->second.limit = limit;
  at->second.start_ms = next_ms;
  at->second.touched = true;
  return want(at->second, counter.usual, std::min(counter.wish, room));
}

Counter& Quotas::Impl::counter_of(const Want& want) {
  const auto& limit = want.limit;
  return counters.at({limit.subject, limit.resource, limit.window, want.period_ms});
}

Result<void> Quotas::Impl::take_grants(const std::vector<Want>& wanted,
                                       const std::vector<Given>& given) {
  for (size_t i = 0; i < wanted.size(); ++i) {
    auto& counter = counter_of(wanted[i]);
    counter.asked_ms = clock->monotonic_ms();
    if (counter.slot < 0) {
      if (free_slots.empty()) return base::storage_error("too many quotas at once", live_path);
      counter.slot = free_slots.back();
      free_slots.pop_back();
    }
    counter.granted = given[i].granted;
    counter.unclaimed = given[i].unclaimed;
    write_granted(counter);
  }
  return {};
}

void Quotas::Impl::write_granted(const Counter& counter) {
  auto& noted = live.tables().counters[static_cast<size_t>(counter.slot)];
  noted.granted = counter.granted;
  noted.spent = counter.spent;
  write_mark(noted.row, counter.row);
}

// What changed is reported; what lies idle is given back, and so is everything where others may
// have to do without it.
std::vector<Report> Quotas::Impl::reports(bool all) {
  const int64_t wall_ms = clock->wall_ms();
  std::vector<Report> out;
  for (auto& [key, counter] : counters) {
    const int64_t end_ms = period_end_ms(counter.limit.window, counter.start_ms);
    const bool over = end_ms != 0 && end_ms <= wall_ms;
    const bool scarce = counter.unclaimed < counter.limit.most / kParts;
    const bool coming = is_coming(counter);
    const bool idle = all || over || scarce || !(counter.touched || coming);
    const int64_t before = counter.granted;
    if (idle) counter.granted = std::min(before, counter.spent + counter.reserved);
    counter.unclaimed += before - counter.granted;
    counter.touched = coming;  // the first tick of a period comes too early to call it idle
    const bool changed =
        is_unsure || counter.spent != counter.reported || before != counter.granted;
    counter.last = idle && counter.reserved == 0;
    if (counter.row != 0 && (counter.last || changed)) {
      out.push_back({counter.row, counter.granted, counter.spent, counter.last});
    }
  }
  return out;
}

// Nobody could be granted anything meanwhile, so a counter without a grant to hand out is as it
// was.
void Quotas::Impl::reported(const std::vector<Report>& reports) {
  std::unordered_map<int64_t, int64_t> spent;
  for (const auto& one : reports) spent[one.row] = one.spent;
  for (auto at = counters.begin(); at != counters.end();) {
    auto& counter = at->second;
    if (const auto told = spent.find(counter.row); told != spent.end()) {
      counter.reported = told->second;
    }
    if (!counter.last || counter.reserved != 0) {
      ++at;
      continue;
    }
    if (counter.slot >= 0) free_slots.push_back(counter.slot);
    at = counters.erase(at);
    ++changes;
  }
}

}  // namespace retort::accounts
