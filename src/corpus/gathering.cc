// corpus.db: its tables, opening it, planning, claiming and counting.
#include "corpus/gathering.h"

#include <fmt/core.h>

#include "base/check.h"
#include "corpus/gathering_internal.h"
#include "corpus/shard_internal.h"
#include "crypto/hash.h"

namespace retort::corpus {
namespace {

constexpr int64_t kSchemaVersion = 1;
constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, request TEXT NOT NULL,
  principal TEXT NOT NULL, terms_set TEXT NOT NULL,
  state INTEGER NOT NULL DEFAULT 0, ready_ms INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0, resent INTEGER NOT NULL DEFAULT 0,
  lost INTEGER NOT NULL DEFAULT 0, booked INTEGER NOT NULL DEFAULT 0,
  reason TEXT NOT NULL DEFAULT '', cost_micros INTEGER NOT NULL DEFAULT 0,
  prompt_tokens INTEGER NOT NULL DEFAULT 0, completion_tokens INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, id);
CREATE TABLE IF NOT EXISTS batches (id INTEGER PRIMARY KEY, mark TEXT NOT NULL, digest TEXT);
CREATE TABLE IF NOT EXISTS answers (
  job INTEGER PRIMARY KEY REFERENCES jobs (id), record TEXT NOT NULL, digest BLOB NOT NULL,
  finish_reason TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
  captured_ms INTEGER NOT NULL, batch INTEGER REFERENCES batches (id));
CREATE INDEX IF NOT EXISTS answers_by_batch ON answers (batch, job);
CREATE TABLE IF NOT EXISTS logprobs (
  job INTEGER PRIMARY KEY REFERENCES jobs (id), file BLOB NOT NULL, digest BLOB NOT NULL);
)";

// A crashed writer leaves a journal that only a connection that may write can roll back.
Result<void> roll_back_leftovers(const std::string& path) {
  const auto size = base::file_size(path + "-journal");
  if (!size || *size == 0) return {};
  RETORT_TRY(auto database, store::Database::open(path, {.create = false}));
  return database->execute("SELECT count(*) FROM sqlite_schema");
}

std::string terms_set_of(const Record& record) {
  std::string text;
  for (const auto& one : as_set(record.terms)) text += one.id + terms::name(one.object) + "\n";
  return crypto::sha256_hex(text);
}

// What was asked, and nothing that a caller may have filled in besides.
Record request_of(const Record& record) {
  Record request;
  request.kind = Kind::teacher;
  request.door = record.door;
  request.model = record.model;
  request.messages = record.messages;
  request.sampling = record.sampling;
  request.sample = record.sample;
  request.slots = record.slots;
  request.template_index = record.template_index;
  request.terms = record.terms;
  request.key = record_key(request);
  return request;
}

}  // namespace

Gathering::Impl::Impl(std::string at, const Options& options)
    : path(std::move(at)),
      clock(options.clock != nullptr ? options.clock : &base::system_clock()),
      group_ms(options.group_ms),
      read_only(options.read_only) {}

Result<store::Statement*> Gathering::Impl::sql(const char* text) {
  auto& statement = statements[text];
  if (!statement) {
    RETORT_TRY(auto prepared, database->prepare(text));
    statement = std::make_unique<store::Statement>(std::move(prepared));
  }
  return statement.get();
}

Result<void> Gathering::Impl::open() {
  if (read_only) {
    if (!base::exists(path)) return base::not_found("nothing was gathered yet", path);
    RETORT_TRY_VOID(roll_back_leftovers(path));
  } else {
    RETORT_TRY_VOID(base::make_directories(base::parent(path)));
    RETORT_TRY(auto held, base::FileLock::acquire(path + ".lock"));
    lock.emplace(std::move(held));
  }
  RETORT_TRY(database, store::Database::open(path, {.read_only = read_only}));
  if (!read_only) {
    RETORT_TRY_VOID(database->execute(kSchema));
    RETORT_TRY(auto* put, sql("INSERT OR IGNORE INTO meta VALUES (?1, ?2)"));
    RETORT_TRY_VOID(put->bind(1, "schema").bind(2, kSchemaVersion).run());
    RETORT_TRY_VOID(put->bind(1, "created_ms").bind(2, clock->wall_ms()).run());
  }
  RETORT_TRY(auto* get, sql("SELECT (SELECT value FROM meta WHERE key = 'schema'), "
                            "(SELECT value FROM meta WHERE key = 'created_ms')"));
  RETORT_TRY_VOID(get->step());
  if (get->integer(0) != kSchemaVersion) {
    return base::bad_input(fmt::format("the database has schema {}; this program reads {}",
                                       get->integer(0), kSchemaVersion),
                           path, "use the program that made it, or a newer one");
  }
  created_ms = get->integer(1);
  get->reset();
  if (!read_only) return recover();
  return {};
}

// What was in flight when an earlier process ended may have been sent.
Result<void> Gathering::Impl::recover() {
  RETORT_TRY(auto* row, sql("UPDATE jobs SET state = 0, ready_ms = 0, lost = 1, booked = 0 "
                            "WHERE state = 1"));
  return row->run();
}

Result<std::unique_ptr<Gathering>> Gathering::open(const std::string& path) {
  return open(path, Options{});
}

Result<std::unique_ptr<Gathering>> Gathering::open(const std::string& path,
                                                   const Options& options) {
  auto impl = std::make_unique<Impl>(path, options);
  RETORT_TRY_VOID(impl->open());
  impl->start();
  return std::unique_ptr<Gathering>(new Gathering(std::move(impl)));
}

Gathering::Gathering(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gathering::~Gathering() = default;
int64_t Gathering::created_ms() const {
  return impl_->created_ms;
}
const std::string& Gathering::path() const {
  return impl_->path;
}

Result<int64_t> Gathering::plan(const std::vector<Record>& requests) {
  Impl& impl = *impl_;
  return impl.writing([&]() -> Result<int64_t> {
    int64_t added = 0;
    RETORT_TRY(auto* put, impl.sql("INSERT OR IGNORE INTO jobs "
                                   "(key, request, principal, terms_set) "
                                   "VALUES (?1, ?2, ?3, ?4)"));
    for (const auto& record : requests) {
      const Record request = request_of(record);
      RETORT_TRY_VOID(put->bind(1, request.key)
                          .bind(2, json::dump(to_json(request)))
                          .bind(3, record.principal)
                          .bind(4, terms_set_of(request))
                          .run());
      added += impl.database->changes();
    }
    return added;
  });
}

Result<std::vector<Job>> Gathering::claim(int64_t limit) {
  Impl& impl = *impl_;
  return impl.writing([&]() -> Result<std::vector<Job>> {
    std::vector<Job> jobs;
    RETORT_TRY(auto* row,
               impl.sql("SELECT id, attempts, lost AND NOT booked, request, principal "
                        "FROM jobs WHERE state = 0 AND ready_ms <= ?1 ORDER BY id LIMIT ?2"));
    row->bind(1, impl.clock->wall_ms()).bind(2, std::max<int64_t>(limit, 0));
    while (true) {
      RETORT_TRY(const bool more, row->step());
      if (!more) break;
      Job job;
      job.id = row->integer(0);
      job.attempts = row->integer(1) + 1;
      job.possibly_sent = row->integer(2) != 0;
      const auto value = json::parse(row->text(3), impl.path);
      const auto request = value ? record_from_json(*value, impl.path) : value.error();
      if (!request) {
        row->reset();
        return request.error();
      }
      job.request = *request;
      job.request.principal = std::string(row->text(4));
      jobs.push_back(std::move(job));
    }
    RETORT_TRY(auto* mark, impl.sql("UPDATE jobs SET state = 1, attempts = attempts + 1, "
                                    "resent = resent + lost WHERE id = ?1"));
    for (const auto& job : jobs) RETORT_TRY_VOID(mark->bind(1, job.id).run());
    return jobs;
  });
}

Result<int64_t> Gathering::next_ready_ms() {
  Impl& impl = *impl_;
  return impl.reading([&]() -> Result<int64_t> {
    RETORT_TRY(auto* row, impl.sql("SELECT coalesce(min(ready_ms), -1) FROM jobs WHERE state = 0"));
    RETORT_TRY_VOID(row->step());
    const int64_t ready_ms = row->integer(0);
    row->reset();
    return ready_ms;
  });
}

Result<int64_t> Gathering::retry_failed() {
  Impl& impl = *impl_;
  return impl.writing([&]() -> Result<int64_t> {
    RETORT_TRY(auto* row, impl.sql("UPDATE jobs SET state = 0, ready_ms = 0 WHERE state = 3"));
    RETORT_TRY_VOID(row->run());
    return impl.database->changes();
  });
}

Result<Counts> Gathering::counts() {
  Impl& impl = *impl_;
  return impl.reading([&]() -> Result<Counts> {
    RETORT_TRY(auto* row,
               impl.sql("SELECT coalesce(sum(state = 0), 0), coalesce(sum(state = 1), 0), "
                        "coalesce(sum(state = 2), 0), coalesce(sum(state = 3), 0), "
                        "coalesce(sum(attempts), 0), coalesce(sum(resent), 0), "
                        "(SELECT count(*) FROM answers a JOIN batches b ON a.batch = b.id "
                        "WHERE b.digest IS NOT NULL) FROM jobs"));
    RETORT_TRY_VOID(row->step());
    const Counts out = {.planned = row->integer(0),
                        .in_flight = row->integer(1),
                        .done = row->integer(2),
                        .failed = row->integer(3),
                        .sealed = row->integer(6),
                        .requests = row->integer(4),
                        .possibly_resent = row->integer(5)};
    row->reset();
    return out;
  });
}

Result<Spend> Gathering::spend() {
  Impl& impl = *impl_;
  return impl.reading([&]() -> Result<Spend> {
    RETORT_TRY(auto* row,
               impl.sql("SELECT coalesce(sum(attempts), 0), coalesce(sum(prompt_tokens), 0), "
                        "coalesce(sum(completion_tokens), 0), coalesce(sum(cost_micros), 0) "
                        "FROM jobs"));
    RETORT_TRY_VOID(row->step());
    const Spend out = {row->integer(0), row->integer(1), row->integer(2), row->integer(3)};
    row->reset();
    return out;
  });
}

Result<std::vector<Gathering::FailureReason>> Gathering::failure_reasons() {
  Impl& impl = *impl_;
  return impl.reading([&]() -> Result<std::vector<FailureReason>> {
    std::vector<FailureReason> out;
    // SQLite takes key from the row that has the minimum.
    RETORT_TRY(auto* row, impl.sql("SELECT reason, count(*) AS n, key, min(id) FROM jobs "
                                   "WHERE state = 3 GROUP BY reason ORDER BY n DESC, reason"));
    while (true) {
      RETORT_TRY(const bool more, row->step());
      if (!more) return out;
      out.push_back({std::string(row->text(0)), row->integer(1), std::string(row->text(2))});
    }
  });
}

Result<void> Gathering::for_each_done(const std::function<void(const DoneInfo&)>& visit) {
  Impl& impl = *impl_;
  const auto all = impl.reading([&]() -> Result<std::vector<DoneInfo>> {
    std::vector<DoneInfo> out;
    RETORT_TRY(auto* row, impl.sql("SELECT a.job, j.key, a.finish_reason, a.prompt_tokens, "
                                   "a.completion_tokens, a.captured_ms, b.digest IS NOT NULL "
                                   "FROM answers a JOIN jobs j ON j.id = a.job "
                                   "LEFT JOIN batches b ON b.id = a.batch ORDER BY a.job"));
    while (true) {
      RETORT_TRY(const bool more, row->step());
      if (!more) return out;
      out.push_back({.job_id = row->integer(0),
                     .key = std::string(row->text(1)),
                     .finish_reason = std::string(row->text(2)),
                     .usage = {row->integer(3), row->integer(4)},
                     .captured_ms = row->integer(5),
                     .sealed = row->integer(6) != 0});
    }
  });
  if (!all) return all.error();
  for (const auto& info : *all) visit(info);
  return {};
}

}  // namespace retort::corpus
