#include <fmt/core.h>

#include <algorithm>

#include "accounts/quota_store_internal.h"

namespace retort::accounts {
namespace {

constexpr const char* kTables = R"(
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS limits (
  subject TEXT NOT NULL, resource INTEGER NOT NULL, period INTEGER NOT NULL, most INTEGER NOT NULL,
  PRIMARY KEY (subject, resource, period)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS used (
  subject TEXT NOT NULL, resource INTEGER NOT NULL, period INTEGER NOT NULL,
  start_ms INTEGER NOT NULL, amount INTEGER NOT NULL CHECK (amount >= 0),
  PRIMARY KEY (subject, resource, period, start_ms)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS grants (
  id INTEGER PRIMARY KEY AUTOINCREMENT, process TEXT NOT NULL,
  subject TEXT NOT NULL, resource INTEGER NOT NULL, period INTEGER NOT NULL,
  start_ms INTEGER NOT NULL, granted INTEGER NOT NULL, reported INTEGER NOT NULL DEFAULT 0,
  CHECK (reported >= 0 AND granted >= reported));
CREATE INDEX IF NOT EXISTS grants_by_limit ON grants (subject, resource, period, start_ms);
CREATE INDEX IF NOT EXISTS grants_by_process ON grants (process);
)";

store::Statement& bind_limit(store::Statement& row, const Limit& limit) {
  return row.bind(1, limit.subject)
      .bind(2, static_cast<int64_t>(limit.resource))
      .bind(3, static_cast<int64_t>(limit.window));
}

// Plenty left: what is wished, but never so much that others could be left without.
int64_t grant_size(const Want& want, int64_t remaining) {
  const int64_t spare = (remaining - want.need) / 4;
  return want.need + std::clamp<int64_t>(want.wish, 0, std::max<int64_t>(0, spare));
}

Refusal refusal_of(const Want& want, int64_t remaining) {
  return {.limit = want.limit,
          .asked = want.need,
          .remaining = std::max<int64_t>(0, remaining),
          .resets_ms = period_end_ms(want.limit.window, want.period_ms)};
}

}  // namespace

Result<QuotaStore> QuotaStore::open(const std::string& path) {
  RETORT_TRY(auto database, store::Database::open(path));
  RETORT_TRY_VOID(database->execute(kTables));
  return QuotaStore(std::move(database));
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
                            "value = value + 1"));
  return row->run();
}

Result<void> QuotaStore::set_limit(const Limit& limit) {
  RETORT_TRY(auto transaction, database_->begin());
  RETORT_TRY(auto* row, sql("INSERT INTO limits VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET "
                            "most = excluded.most"));
  RETORT_TRY_VOID(bind_limit(*row, limit).bind(4, limit.most).run());
  RETORT_TRY_VOID(bump_version());
  return transaction.commit();
}

Result<void> QuotaStore::remove_limit(const Limit& limit) {
  RETORT_TRY(auto transaction, database_->begin());
  RETORT_TRY(auto* row,
             sql("DELETE FROM limits WHERE subject = ?1 AND resource = ?2 AND period = ?3"));
  RETORT_TRY_VOID(bind_limit(*row, limit).run());
  RETORT_TRY_VOID(bump_version());
  return transaction.commit();
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
                                 "restore the file from a backup");
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
  RETORT_TRY(auto* row, sql("SELECT coalesce((SELECT amount FROM used WHERE subject = ?1 AND "
                            "resource = ?2 AND period = ?3 AND start_ms = ?4), 0)"));
  RETORT_TRY_VOID(bind_limit(*row, limit).bind(4, period_ms).step());
  const int64_t amount = row->integer(0);
  row->reset();
  return amount;
}

// The limit is read here as well, so that no process goes by an old one.
Result<int64_t> QuotaStore::remaining(const Limit& limit, int64_t period_ms) {
  RETORT_TRY(auto* row,
             sql("SELECT (SELECT most FROM limits WHERE subject = ?1 AND resource = ?2 AND period "
                 "= ?3) - coalesce((SELECT amount FROM used WHERE subject = ?1 AND resource = ?2 "
                 "AND period = ?3 AND start_ms = ?4), 0) - coalesce((SELECT sum(granted - "
                 "reported) FROM grants WHERE subject = ?1 AND resource = ?2 AND period = ?3 AND "
                 "start_ms = ?4), 0)"));
  RETORT_TRY_VOID(bind_limit(*row, limit).bind(4, period_ms).step());
  // A limit that was taken away meanwhile binds nobody.
  const int64_t left = row->is_null(0) ? INT64_MAX / 4 : row->integer(0);
  row->reset();
  return left;
}

Result<Answer> QuotaStore::grant(const std::string& process, const std::vector<Want>& wants) {
  RETORT_TRY(auto transaction, database_->begin());
  Answer answer;
  for (const auto& want : wants) {
    RETORT_TRY(const int64_t left, remaining(want.limit, want.period_ms));
    if (left < want.need) return Answer{{}, refusal_of(want, left)};  // all of them are undone
    const int64_t more = grant_size(want, left);
    Given given{want.row, want.granted + more, left - more};
    if (want.row == 0) {
      RETORT_TRY(auto* row, sql("INSERT INTO grants (subject, resource, period, start_ms, process, "
                                "granted) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"));
      RETORT_TRY_VOID(bind_limit(*row, want.limit)
                          .bind(4, want.period_ms)
                          .bind(5, process)
                          .bind(6, given.granted)
                          .run());
      given.row = database_->last_row_id();
    } else {
      RETORT_TRY(auto* row, sql("UPDATE grants SET granted = ?2 WHERE id = ?1"));
      RETORT_TRY_VOID(row->bind(1, want.row).bind(2, given.granted).run());
    }
    answer.given.push_back(given);
  }
  RETORT_TRY_VOID(transaction.commit());
  return answer;
}

Result<void> QuotaStore::report_one(const Report& report) {
  RETORT_TRY(auto* used,
             sql("INSERT INTO used SELECT subject, resource, period, start_ms, ?2 - "
                 "reported FROM grants WHERE id = ?1 AND resource != ?3 AND ?2 > "
                 "reported ON CONFLICT DO UPDATE SET amount = amount + excluded.amount"));
  RETORT_TRY_VOID(used->bind(1, report.row)
                      .bind(2, report.spent)
                      .bind(3, static_cast<int64_t>(Resource::parallel))
                      .run());
  if (report.last) {
    RETORT_TRY(auto* gone, sql("DELETE FROM grants WHERE id = ?1"));
    return gone->bind(1, report.row).run();
  }
  RETORT_TRY(auto* row, sql("UPDATE grants SET reported = ?2, granted = ?3 WHERE id = ?1"));
  return row->bind(1, report.row).bind(2, report.spent).bind(3, report.granted).run();
}

Result<void> QuotaStore::report(const std::vector<Report>& reports) {
  if (reports.empty()) return {};
  RETORT_TRY(auto transaction, database_->begin());
  for (const auto& one : reports) RETORT_TRY_VOID(report_one(one));
  return transaction.commit();
}

Result<std::vector<std::string>> QuotaStore::processes() {
  RETORT_TRY(auto* rows, sql("SELECT DISTINCT process FROM grants"));
  std::vector<std::string> out;
  while (true) {
    RETORT_TRY(const bool more, rows->step());
    if (!more) return out;
    out.emplace_back(rows->text(0));
  }
}

Result<void> QuotaStore::settle_dead(const std::string& process,
                                     const std::optional<Spent>& spent) {
  RETORT_TRY(auto transaction, database_->begin());
  std::vector<Report> reports;
  {
    RETORT_TRY(auto* rows, sql("SELECT id, granted, reported FROM grants WHERE process = ?1"));
    rows->bind(1, process);
    while (true) {
      RETORT_TRY(const bool more, rows->step());
      if (!more) break;
      Report one{.row = rows->integer(0), .granted = rows->integer(1), .spent = 0, .last = true};
      const int64_t reported = rows->integer(2);
      if (!spent) {
        one.spent = one.granted;
      } else {
        const auto known = spent->find(one.row);
        one.spent =
            known == spent->end() ? reported : std::clamp(known->second, reported, one.granted);
      }
      reports.push_back(one);
    }
  }
  for (const auto& one : reports) RETORT_TRY_VOID(report_one(one));
  return transaction.commit();
}

}  // namespace retort::accounts
