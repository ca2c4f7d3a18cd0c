#include "accounts/quota_store_internal.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

namespace retort::accounts {
namespace {

constexpr const char* kTables = R"(
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS limits (
  subject TEXT NOT NULL, resource INTEGER NOT NULL, period INTEGER NOT NULL, most INTEGER NOT NULL,
  PRIMARY KEY (subject, resource, period)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters (
  subject TEXT NOT NULL, resource INTEGER NOT NULL, period INTEGER NOT NULL,
  start_ms INTEGER NOT NULL, used INTEGER NOT NULL CHECK (used >= 0),
  held INTEGER NOT NULL CHECK (held >= 0), given INTEGER NOT NULL,
  PRIMARY KEY (subject, resource, period, start_ms)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS processes (
  process TEXT PRIMARY KEY, until_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holdings (
  process TEXT NOT NULL, number INTEGER NOT NULL,
  subject TEXT NOT NULL, resource INTEGER NOT NULL, period INTEGER NOT NULL,
  start_ms INTEGER NOT NULL, granted INTEGER NOT NULL, reported INTEGER NOT NULL,
  PRIMARY KEY (process, number),
  CHECK (reported >= 0 AND granted >= reported)) WITHOUT ROWID;
)";

constexpr size_t kReportsAtOnce = 100;  // so that no transaction keeps others waiting for long

store::Statement& bind_limit(store::Statement& row, const Limit& limit) {
  return row.bind(1, limit.subject)
      .bind(2, static_cast<int64_t>(limit.resource))
      .bind(3, static_cast<int64_t>(limit.window));
}

Refusal refusal_of(const Want& want, int64_t remaining) {
  return {.limit = want.limit,
          .asked = want.need,
          .remaining = std::max<int64_t>(0, remaining),
          .resets_ms = period_end_ms(want.limit.window, want.period_ms)};
}

std::vector<size_t> in_order(const std::vector<Want>& wants) {
  std::vector<size_t> out(wants.size());
  std::iota(out.begin(), out.end(), size_t{0});
  const auto key = [&wants](size_t at) {
    return counter_order(wants[at].limit, wants[at].period_ms);
  };
  std::sort(out.begin(), out.end(), [&key](size_t a, size_t b) { return key(a) < key(b); });
  return out;
}

}  // namespace

QuotaStore::QuotaStore(Options options, std::unique_ptr<store::Database> database)
    : options_(std::move(options)), database_(std::move(database)) {}

Result<QuotaStore> QuotaStore::open(Options options) {
  RETORT_TRY(auto database, store::Database::open(options.address));
  RETORT_TRY_VOID(database->create_tables(kTables));
  QuotaStore out(std::move(options), std::move(database));
  RETORT_TRY_VOID(out.carry_over());
  return out;
}

Result<store::Statement*> QuotaStore::sql(const char* text) {
  auto& statement = statements_[text];
  if (!statement) {
    RETORT_TRY(auto prepared, database_->prepare(text));
    statement = std::make_unique<store::Statement>(std::move(prepared));
  }
  statement->reset();
  return statement.get();
}

Result<void> QuotaStore::bump_version() {
  RETORT_TRY(auto* row, sql("INSERT INTO meta VALUES ('limits', 1) ON CONFLICT (key) DO UPDATE SET "
                            "value = meta.value + 1"));
  return row->run();
}

Result<void> QuotaStore::set_limit(const Limit& limit) {
  if (limit.most < 0 || limit.subject.empty()) {
    return base::usage_error("a limit needs whom it binds and a number of 0 or more");
  }
  if ((limit.resource == Resource::parallel) != (limit.window == Window::now)) {
    return base::usage_error("“parallel” counts now; the others count a minute, day or month");
  }
  return database_->transact([&]() -> Result<void> {
    RETORT_TRY_VOID(bump_version());
    RETORT_TRY(auto* row, sql("INSERT INTO limits VALUES (?1, ?2, ?3, ?4) ON CONFLICT (subject, "
                              "resource, period) DO UPDATE SET most = excluded.most"));
    return bind_limit(*row, limit).bind(4, limit.most).run();
  });
}

Result<void> QuotaStore::remove_limit(const Limit& limit) {
  return database_->transact([&]() -> Result<void> {
    RETORT_TRY_VOID(bump_version());
    RETORT_TRY(auto* row,
               sql("DELETE FROM limits WHERE subject = ?1 AND resource = ?2 AND period = ?3"));
    return bind_limit(*row, limit).run();
  });
}

Result<std::vector<Limit>> QuotaStore::limits() {
  RETORT_TRY(auto* rows, sql("SELECT subject, resource, period, most FROM limits "
                             "ORDER BY subject, resource, period"));
  std::vector<Limit> out;
  while (true) {
    RETORT_TRY(const bool more, rows->step());
    if (!more) return out;
    const int64_t resource = rows->integer(1);
    const int64_t window = rows->integer(2);
    if (resource < 0 || resource > 4 || window < 0 || window > 3) {
      return base::storage_error("the quotas hold a limit that no program wrote", database_->path(),
                                 "restore them from a backup");
    }
    out.push_back({std::string(rows->text(0)), static_cast<Resource>(resource),
                   static_cast<Window>(window), rows->integer(3)});
  }
}

Result<int64_t> QuotaStore::limits_version() {
  RETORT_TRY(auto* row, sql("SELECT coalesce((SELECT value FROM meta WHERE key = 'limits'), 0)"));
  RETORT_TRY_VOID(row->step());
  const int64_t version = row->integer(0);
  row->reset();  // else the read lock stays
  return version;
}

Result<int64_t> QuotaStore::used(const Limit& limit, int64_t period_ms) {
  RETORT_TRY(auto* row, sql("SELECT coalesce((SELECT used FROM counters WHERE subject = ?1 AND "
                            "resource = ?2 AND period = ?3 AND start_ms = ?4), 0)"));
  RETORT_TRY_VOID(bind_limit(*row, limit).bind(4, period_ms).step());
  const int64_t amount = row->integer(0);
  row->reset();
  return amount;
}

Result<int64_t> QuotaStore::remaining(const Limit& limit, int64_t period_ms) {
  RETORT_TRY(auto* row,
             sql("SELECT (SELECT most FROM limits WHERE subject = ?1 AND resource = ?2 AND period "
                 "= ?3) - coalesce((SELECT used + held FROM counters WHERE subject = ?1 AND "
                 "resource = ?2 AND period = ?3 AND start_ms = ?4), 0)"));
  RETORT_TRY_VOID(bind_limit(*row, limit).bind(4, period_ms).step());
  // A limit that was taken away meanwhile binds nobody.
  const int64_t left = row->is_null(0) ? INT64_MAX / 4 : row->integer(0);
  row->reset();
  return left;
}

// The limit is read here as well, so that no process goes by an old one. Where there is plenty it
// gives what is wished, but never so much that others could be left without: a quarter of the rest.
Result<std::optional<Given>> QuotaStore::take(const Want& want, int64_t need) {
  RETORT_TRY(
      auto* row,
      sql("UPDATE counters SET given = ?5 + CASE WHEN (l.most - counters.used - counters.held - "
          "?5) / 4 < ?6 THEN (l.most - counters.used - counters.held - ?5) / 4 ELSE ?6 END, "
          "held = counters.held + ?5 + CASE WHEN (l.most - counters.used - counters.held - "
          "?5) / 4 < ?6 THEN (l.most - counters.used - counters.held - ?5) / 4 ELSE ?6 END "
          "FROM limits l WHERE l.subject = ?1 AND l.resource = ?2 AND l.period = ?3 AND "
          "counters.subject = ?1 AND counters.resource = ?2 AND counters.period = ?3 AND "
          "counters.start_ms = ?4 AND ?5 <= l.most - counters.used - counters.held "
          "RETURNING given, (SELECT most FROM limits WHERE subject = ?1 AND resource = ?2 AND "
          "period = ?3) - used - held"));
  bind_limit(*row, want.limit)
      .bind(4, want.period_ms)
      .bind(5, need)
      .bind(6, std::max<int64_t>(0, want.wish));
  RETORT_TRY(const bool found, row->step());
  if (!found) return std::optional<Given>{};
  const Given given{row->integer(0), row->integer(1)};  // so far: how much more
  row->reset();
  return std::optional(given);
}

Result<std::optional<Refusal>> QuotaStore::grant_one(const Want& want, Given& given) {
  const auto known = held_.find(want.row);
  // Of a row that is not there everything has been accounted for: it was never made, or it ended.
  Held held = known != held_.end() ? known->second
                                   : Held{want.limit, want.period_ms, want.granted, want.granted};
  const int64_t need = want.granted + want.need - held.granted;
  if (need <= 0) {  // it was granted before, and the answer was lost
    RETORT_TRY(given.unclaimed, remaining(want.limit, want.period_ms));
    given.granted = held.granted;
    return std::optional<Refusal>{};
  }
  RETORT_TRY(auto taken, take(want, need));
  if (!taken) {
    RETORT_TRY(const int64_t left, remaining(want.limit, want.period_ms));
    if (left < need) return std::optional(refusal_of(want, left));
    RETORT_TRY(auto* row,
               sql("INSERT INTO counters VALUES (?1, ?2, ?3, ?4, 0, 0, 0) ON CONFLICT DO NOTHING"));
    RETORT_TRY_VOID(bind_limit(*row, want.limit).bind(4, want.period_ms).run());
    RETORT_TRY(taken, take(want, need));
  }
  if (!taken) {  // between the two another one took it, or the limit went
    RETORT_TRY(const int64_t left, remaining(want.limit, want.period_ms));
    if (left < need) return std::optional(refusal_of(want, left));
    taken = Given{need, left - need};
    RETORT_TRY_VOID(charge(held, 0, -need));
  }
  held.granted += taken->granted;
  RETORT_TRY(auto* row,
             sql("INSERT INTO holdings VALUES (?5, ?6, ?1, ?2, ?3, ?4, ?7, ?8) "
                 "ON CONFLICT (process, number) DO UPDATE SET granted = excluded.granted"));
  RETORT_TRY_VOID(bind_limit(*row, want.limit)
                      .bind(4, want.period_ms)
                      .bind(5, options_.process)
                      .bind(6, want.row)
                      .bind(7, held.granted)
                      .bind(8, held.reported)
                      .run());
  given = {held.granted, taken->unclaimed};
  changed_[want.row] = held;
  return std::optional<Refusal>{};
}

Result<Answer> QuotaStore::grant(const std::vector<Want>& wants) {
  Answer answer;
  const auto done = change([&]() -> Result<void> {
    answer = {std::vector<Given>(wants.size()), {}};
    for (const size_t at : in_order(wants)) {
      RETORT_TRY(answer.refusal, grant_one(wants[at], answer.given[at]));
      if (answer.refusal) return base::usage_error("a limit is reached");  // all are undone
    }
    return {};
  });
  if (!done && !answer.refusal) return done.error();
  if (answer.refusal) answer.given.clear();
  return answer;
}

Result<std::vector<Given>> QuotaStore::grant_each(const std::vector<Want>& wants) {
  std::vector<Given> given;
  const auto done = change([&]() -> Result<void> {
    given.assign(wants.size(), {});
    for (const size_t at : in_order(wants)) {
      RETORT_TRY(const auto refusal, grant_one(wants[at], given[at]));
      if (refusal) given[at] = {wants[at].granted, refusal->remaining};
    }
    return {};
  });
  if (!done) return done.error();
  return given;
}

Result<void> QuotaStore::charge(const Held& held, int64_t used, int64_t back) {
  RETORT_TRY(auto* row,
             sql("UPDATE counters SET used = used + ?5, held = held - ?6 WHERE subject = ?1 AND "
                 "resource = ?2 AND period = ?3 AND start_ms = ?4"));
  const bool counts = held.limit.resource != Resource::parallel;
  return bind_limit(*row, held.limit)
      .bind(4, held.period_ms)
      .bind(5, counts ? used : 0)
      .bind(6, back)
      .run();
}

Result<void> QuotaStore::report_one(const Report& report) {
  const auto known = held_.find(report.row);
  if (known == held_.end()) return {};  // accounted for already
  const Held& before = known->second;
  Held after = before;
  after.reported = std::clamp(report.spent, before.reported, before.granted);
  after.granted = std::clamp(report.granted, after.reported, before.granted);
  const int64_t used = after.reported - before.reported;
  const int64_t open = report.last ? 0 : after.open();
  if (used != 0 || before.open() != open) {
    RETORT_TRY_VOID(charge(before, used, before.open() - open));
  }
  if (report.last) {
    changed_[report.row] = std::nullopt;
    RETORT_TRY(auto* gone, sql("DELETE FROM holdings WHERE process = ?1 AND number = ?2"));
    return gone->bind(1, options_.process).bind(2, report.row).run();
  }
  changed_[report.row] = after;
  RETORT_TRY(auto* row, sql("UPDATE holdings SET reported = ?3, granted = ?4 WHERE process = ?1 "
                            "AND number = ?2"));
  return row->bind(1, options_.process)
      .bind(2, report.row)
      .bind(3, after.reported)
      .bind(4, after.granted)
      .run();
}

Result<void> QuotaStore::report(const std::vector<Report>& reports) {
  std::vector<Report> open;
  for (const auto& one : reports) {
    if (!is_known_ || held_.contains(one.row)) open.push_back(one);
  }
  for (size_t first = 0; first < open.size(); first += kReportsAtOnce) {
    const size_t end = std::min(open.size(), first + kReportsAtOnce);
    const auto done = change([&]() -> Result<void> {
      for (size_t i = first; i < end; ++i) RETORT_TRY_VOID(report_one(open[i]));
      return {};
    });
    if (!done) return done;
  }
  return {};
}

}  // namespace retort::accounts
