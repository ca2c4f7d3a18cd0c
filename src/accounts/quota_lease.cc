// Who may change what a process holds: itself while its lease lasts, others when it is gone.
#include <algorithm>

#include "accounts/quota_store_internal.h"
#include "base/log.h"

namespace retort::accounts {
namespace {

constexpr int64_t kRenewals = 6;  // in the time of a lease

}  // namespace

// Of a process that counts as gone the row is not there, and it begins anew with nothing: what it
// held then counts as used, so what it has not handed out of that stays its own.
Result<void> QuotaStore::change(const std::function<Result<void>()>& work) {
  if (!enlisted_) RETORT_TRY_VOID(enlist());
  while (true) {
    bool gone = false;
    int64_t asked_ms = 0;
    const auto done = database_->transact([&]() -> Result<void> {
      asked_ms = options_.clock->monotonic_ms();
      changed_.clear();
      RETORT_TRY(const bool alive, claim());
      gone = !alive;
      if (gone) return base::usage_error("the lease was over");
      if (!is_known_) {
        RETORT_TRY(held_, read_held(options_.process));
      }
      is_known_ = false;
      return work();
    });
    if (gone) {
      ++deaths_;
      RETORT_TRY_VOID(enlist());
      continue;
    }
    if (!done && done.error().code == ErrorCode::storage) return done;
    is_known_ = true;
    if (!done) return done;
    renewed_ms_ = asked_ms;
    for (const auto& [row, held] : changed_) {
      if (held) {
        held_[row] = *held;
      } else {
        held_.erase(row);
      }
    }
    return done;
  }
}

Result<void> QuotaStore::enlist() {
  const int64_t asked_ms = options_.clock->monotonic_ms();
  const auto done = database_->transact([&]() -> Result<void> {
    RETORT_TRY(auto* row, sql("INSERT INTO processes VALUES (?1, now_ms() + ?2) "
                              "ON CONFLICT DO NOTHING"));
    return row->bind(1, options_.process).bind(2, options_.lease_ms).run();
  });
  if (!done) return done;
  enlisted_ = true;
  renewed_ms_ = asked_ms;
  held_.clear();
  is_known_ = true;
  return {};
}

Result<bool> QuotaStore::claim() {
  RETORT_TRY(auto* row, sql("UPDATE processes SET until_ms = now_ms() + ?2 WHERE process = ?1"));
  RETORT_TRY_VOID(row->bind(1, options_.process).bind(2, options_.lease_ms).run());
  return database_->changes() == 1;
}

Result<void> QuotaStore::renew() {
  return change([]() -> Result<void> { return {}; });
}

Result<void> QuotaStore::renew_if_due() {
  if (!enlisted_ || !is_shared()) return {};
  const int64_t age_ms = options_.clock->monotonic_ms() - renewed_ms_;
  return age_ms < options_.lease_ms / kRenewals ? Result<void>() : renew();
}

Result<void> QuotaStore::leave() {
  if (!enlisted_) return {};
  return database_->transact([&]() -> Result<void> {
    RETORT_TRY(auto* row, sql("DELETE FROM processes WHERE process = ?1"));
    return row->bind(1, options_.process).run();
  });
}

int64_t QuotaStore::lease_ends_ms() const {
  return enlisted_ && is_shared() ? renewed_ms_ + options_.lease_ms / 2 : INT64_MAX;
}

Result<QuotaStore::Rows> QuotaStore::read_held(const std::string& process) {
  RETORT_TRY(auto* rows, sql("SELECT number, subject, resource, period, start_ms, granted, "
                             "reported FROM holdings WHERE process = ?1"));
  rows->bind(1, process);
  Rows out;
  while (true) {
    RETORT_TRY(const bool more, rows->step());
    if (!more) return out;
    out[rows->integer(0)] = {
        .limit = {std::string(rows->text(1)), static_cast<Resource>(rows->integer(2)),
                  static_cast<Window>(rows->integer(3)), 0},
        .period_ms = rows->integer(4),
        .granted = rows->integer(5),
        .reported = rows->integer(6)};
  }
}

Result<std::vector<std::string>> QuotaStore::processes() {
  RETORT_TRY(auto* rows, sql("SELECT process FROM processes"));
  std::vector<std::string> out;
  while (true) {
    RETORT_TRY(const bool more, rows->step());
    if (!more) return out;
    out.emplace_back(rows->text(0));
  }
}

Result<void> QuotaStore::settle_dead(const std::string& process,
                                     const std::optional<Spent>& spent) {
  return settle(process, spent, Death::known);
}

Result<void> QuotaStore::settle_expired() {
  RETORT_TRY(auto* rows, sql("SELECT process FROM processes WHERE until_ms < now_ms()"));
  std::vector<std::string> gone;
  while (true) {
    RETORT_TRY(const bool more, rows->step());
    if (!more) break;
    gone.emplace_back(rows->text(0));
  }
  for (const auto& process : gone) {
    if (process == options_.process) continue;
    base::log_warning(
        "quotas: nothing was heard of {} for as long as its lease; all that it held counts as used",
        process);
    RETORT_TRY_VOID(settle(process, {}, Death::expired));
  }
  return {};
}

Result<bool> QuotaStore::forget_minutes() {
  constexpr int64_t kKeptMs = int64_t{24} * 3'600'000;
  constexpr int64_t kAtOnce = 300;  // so that no grant waits for long
  struct Minute {
    std::string subject;
    int64_t resource = 0, start_ms = 0;
  };
  // By both clocks: a process whose own runs ahead forgets nothing that others still count on.
  RETORT_TRY(auto* rows,
             sql("SELECT subject, resource, start_ms FROM counters WHERE period = ?1 AND held = 0 "
                 "AND start_ms < ?2 AND start_ms < now_ms() - ?3 LIMIT ?4"));
  rows->bind(1, static_cast<int64_t>(Window::minute))
      .bind(2, options_.clock->wall_ms() - kKeptMs)
      .bind(3, kKeptMs)
      .bind(4, kAtOnce);
  std::vector<Minute> over;
  while (true) {
    RETORT_TRY(const bool more, rows->step());
    if (!more) break;
    over.push_back({std::string(rows->text(0)), rows->integer(1), rows->integer(2)});
  }
  if (over.empty()) return false;
  const auto gone = database_->transact([&]() -> Result<void> {
    for (const Minute& one : over) {
      RETORT_TRY(auto* row, sql("DELETE FROM counters WHERE subject = ?1 AND resource = ?2 AND "
                                "period = ?3 AND start_ms = ?4 AND held = 0"));
      RETORT_TRY_VOID(row->bind(1, one.subject)
                          .bind(2, one.resource)
                          .bind(3, static_cast<int64_t>(Window::minute))
                          .bind(4, one.start_ms)
                          .run());
    }
    return {};
  });
  if (!gone) return gone.error();
  return static_cast<int64_t>(over.size()) == kAtOnce;
}

Result<void> QuotaStore::settle(const std::string& process, const std::optional<Spent>& spent,
                                Death death) {
  return database_->transact([&]() -> Result<void> {
    RETORT_TRY(auto* row, death == Death::known
                              ? sql("DELETE FROM processes WHERE process = ?1")
                              : sql("DELETE FROM processes WHERE process = ?1 AND until_ms < "
                                    "now_ms()"));
    RETORT_TRY_VOID(row->bind(1, process).run());
    if (database_->changes() == 0) return {};  // another one did it, or it lives
    RETORT_TRY(const auto rows, read_held(process));
    std::vector<std::pair<int64_t, Held>> sorted(rows.begin(), rows.end());
    const auto key = [](const auto& one) {
      return counter_order(one.second.limit, one.second.period_ms);
    };
    std::sort(sorted.begin(), sorted.end(),
              [&](const auto& a, const auto& b) { return key(a) < key(b); });
    for (const auto& [number, held] : sorted) {
      int64_t total = held.granted;
      if (spent) {
        const auto known = spent->find(number);
        total = known == spent->end() ? held.reported
                                      : std::clamp(known->second, held.reported, held.granted);
      }
      RETORT_TRY_VOID(charge(held, total - held.reported, held.open()));
    }
    RETORT_TRY(auto* gone, sql("DELETE FROM holdings WHERE process = ?1"));
    return gone->bind(1, process).run();
  });
}

// Of a file that was made before there were counters: what was granted then counts as used.
Result<void> QuotaStore::carry_over() {
  if (is_shared()) return {};
  RETORT_TRY(auto old, database_->prepare("SELECT 1 FROM sqlite_schema WHERE name = 'grants'"));
  RETORT_TRY(const bool is_old, old.step());
  old.reset();
  if (!is_old) return {};
  return database_->transact([&]() -> Result<void> {
    return database_->execute(
        "INSERT INTO counters SELECT subject, resource, period, start_ms, sum(amount), 0, 0 FROM ("
        "SELECT subject, resource, period, start_ms, amount FROM used UNION ALL "
        "SELECT subject, resource, period, start_ms, granted - reported FROM grants "
        "WHERE resource != 4) GROUP BY subject, resource, period, start_ms; "
        "DROP TABLE grants; DROP TABLE used;");
  });
}

}  // namespace retort::accounts
