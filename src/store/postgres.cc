#include <fmt/core.h>

#include <array>
#include <cstring>

#include "base/clock.h"
#include "base/random.h"
#include "store/dialect_internal.h"
#include "store/postgres_internal.h"

namespace retort::store {
namespace {

constexpr int64_t kPatience_ms = 10'000;   // for an outcome that is not known
constexpr int64_t kPause_ms = 100;         // between two attempts of it
constexpr int64_t kRefusalHolds_ms = 200;  // a server that does not answer is not asked each time
constexpr int kOldestVersion = 120'000;
constexpr int64_t kTablesLock = 0x7265'746f'7274;  // of those who make tables at the same time

// What differs from a server's defaults. A client that stands still holds nobody up for long, and a
// server that another one has replaced is noticed.
constexpr const char* kSession =
    "SET statement_timeout = '15s'; SET lock_timeout = '10s'; "
    "SET idle_in_transaction_session_timeout = '8s'; "
    "SET default_transaction_isolation = 'read committed'; SET bytea_output = 'hex'";
constexpr std::array<std::pair<const char*, const char*>, 8> kDefaults = {{
    {"connect_timeout", "5"},
    {"keepalives_idle", "5"},
    {"keepalives_interval", "2"},
    {"keepalives_count", "3"},
    {"tcp_user_timeout", "10000"},
    {"target_session_attrs", "read-write"},
    {"client_encoding", "UTF8"},
    {"fallback_application_name", "retort"},
}};

// What was made, so that nobody makes it twice, and the keys of transactions.
constexpr const char* kOwnTables = R"(
CREATE TABLE IF NOT EXISTS retort_tables (made TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS retort_marks (
  mark TEXT PRIMARY KEY, fence BIGINT NOT NULL, made_ms BIGINT NOT NULL);
)";

std::string random_mark() {
  std::array<uint64_t, 2> bits{};
  base::secure_random(bits.data(), sizeof bits);
  return fmt::format("{:016x}{:016x}", bits[0], bits[1]);
}

Bound text_of(std::string text) {
  return {Bound::Kind::text, std::move(text)};
}

// The address in the order of a URL, without its password.
std::string without_password(const std::string& address) {
  char* words = nullptr;
  PQconninfoOption* options = PQconninfoParse(address.c_str(), &words);
  if (words != nullptr) PQfreemem(words);
  if (options == nullptr) return "postgresql://…";
  std::map<std::string, std::string> given;
  for (const auto* one = options; one->keyword != nullptr; ++one) {
    if (one->val != nullptr) given[one->keyword] = one->val;
  }
  PQconninfoFree(options);
  const std::string user = given.contains("user") ? given["user"] + "@" : "";
  const std::string port = given.contains("port") ? ":" + given["port"] : "";
  return fmt::format("postgresql://{}{}{}/{}", user, given["host"], port, given["dbname"]);
}

std::string first_line(const char* words) {
  std::string out = words != nullptr ? words : "";
  return out.substr(0, out.find('\n'));
}

std::vector<Oid> types_of(const std::vector<Bound>& bound) {
  constexpr std::array<Oid, 4> kTypes = {0, 20, 25, 17};  // unknown, bigint, text, bytea
  std::vector<Oid> out;
  for (const auto& one : bound) out.push_back(kTypes[static_cast<size_t>(one.kind)]);
  return out;
}

bool only_reads(const std::string& sql) {
  return sql.starts_with("SELECT");
}

}  // namespace

Postgres::Postgres(std::string address)
    : address_(std::move(address)), shown_(without_password(address_)) {}

Result<std::unique_ptr<DatabaseBackend>> open_postgres(const std::string& address) {
  std::unique_ptr<DatabaseBackend> out(new Postgres(address));
  RETORT_TRY_VOID(out->check_integrity());  // a wrong address is told at once
  return out;
}

Error Postgres::lost(const std::string& words) {
  trouble_ = Trouble::lost;
  connection_.reset();
  known_.clear();
  return base::storage_error("PostgreSQL cannot be reached: " + words, shown_,
                             "see that it runs and that this machine may log in; the next call "
                             "connects anew");
}

Result<void> Postgres::connect() {
  if (connection_) return {};
  const auto& clock = base::system_clock();
  if (refused_ && clock.monotonic_ms() < refused_until_ms_) return *refused_;
  auto opened = open_connection();
  refused_.reset();
  if (opened) return {};
  refused_ = opened.error();
  refused_until_ms_ = clock.monotonic_ms() + kRefusalHolds_ms;
  return opened;
}

Result<void> Postgres::open_connection() {
  std::array<const char*, kDefaults.size() + 2> keys{}, values{};
  for (size_t i = 0; i < kDefaults.size(); ++i) {
    keys[i] = kDefaults[i].first;
    values[i] = kDefaults[i].second;
  }
  keys[kDefaults.size()] = "dbname";  // last, so that what the address says is what counts
  values[kDefaults.size()] = address_.c_str();
  connection_.reset(PQconnectdbParams(keys.data(), values.data(), 1));
  if (!connection_ || PQstatus(connection_.get()) != CONNECTION_OK) {
    return lost(first_line(PQerrorMessage(connection_.get())));
  }
  PQsetNoticeProcessor(
      connection_.get(), [](void*, const char*) {}, nullptr);
  const int version = PQserverVersion(connection_.get());
  if (version < kOldestVersion) {
    return lost(fmt::format("its version is {}, and {} is the oldest that will do",
                            version / 10'000, kOldestVersion / 10'000));
  }
  RETORT_TRY_VOID(check(PQexec(connection_.get(), kSession)));
  return {};
}

Error Postgres::failure(const PGresult* rows) {
  const char* field = PQresultErrorField(rows, PG_DIAG_SQLSTATE);
  const std::string code = field != nullptr ? field : "";
  std::string words = first_line(PQresultErrorField(rows, PG_DIAG_MESSAGE_PRIMARY));
  if (words.empty()) words = first_line(PQerrorMessage(connection_.get()));
  // Before it is closed the server may say so, or nothing with a code is said at all.
  const bool ends = code.empty() || code.starts_with("57P0") || code.starts_with("08");
  if (ends || PQstatus(connection_.get()) == CONNECTION_BAD) return lost(words);
  const bool again = code == "40001" || code == "40P01";  // undone for the sake of another one
  trouble_ = again ? Trouble::again : Trouble::other;
  const std::string_view kind = std::string_view(code).substr(0, 2);
  if (code == "55P03" || code == "57014" || again) {
    return base::storage_error("the database is in use by others: " + words, shown_, "try again");
  }
  if (code == "53100") {
    return base::storage_error("the disk of PostgreSQL is full", shown_,
                               "make room there and do the same again; nothing was lost");
  }
  if (code == "25006" || code == "42501") {
    return base::storage_error("PostgreSQL does not let us write: " + words, shown_,
                               "log in to the primary, as somebody who may create tables there");
  }
  if (kind == "22") return base::bad_input("PostgreSQL cannot keep this: " + words, shown_);
  return base::storage_error(fmt::format("PostgreSQL failed: {} ({})", words, code), shown_);
}

Result<Rows> Postgres::check(PGresult* rows) {
  Rows held(rows);
  const auto status = PQresultStatus(rows);
  if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) return held;
  return failure(rows);
}

// A statement that comes again is worth being prepared; one that comes once is not.
Result<std::optional<std::string>> Postgres::prepared(const std::string& sql,
                                                      const std::vector<Bound>& bound) {
  if (bound.empty()) return std::optional<std::string>{};
  std::string text = sql;
  for (const auto& one : bound) text += static_cast<char>('0' + static_cast<int>(one.kind));
  const auto [found, is_new] = known_.try_emplace(text);
  if (is_new || found->second) return found->second;
  const auto types = types_of(bound);
  const std::string name = fmt::format("retort_{}", ++prepared_);
  RETORT_TRY_VOID(check(PQprepare(connection_.get(), name.c_str(), sql.c_str(),
                                  static_cast<int>(types.size()), types.data())));
  known_[text] = name;
  return std::optional(name);
}

Result<Rows> Postgres::send(const std::string& sql, const std::vector<Bound>& bound) {
  RETORT_TRY(const auto name, prepared(sql, bound));
  if (bound.empty()) return check(PQexec(connection_.get(), sql.c_str()));
  std::vector<const char*> values;
  std::vector<int> lengths, formats;
  for (const auto& one : bound) {
    values.push_back(one.kind == Bound::Kind::null ? nullptr : one.bytes.c_str());
    lengths.push_back(static_cast<int>(one.bytes.size()));
    const bool raw = one.kind == Bound::Kind::text || one.kind == Bound::Kind::blob;
    formats.push_back(raw ? 1 : 0);
  }
  const int count = static_cast<int>(bound.size());
  if (name) {
    return check(PQexecPrepared(connection_.get(), name->c_str(), count, values.data(),
                                lengths.data(), formats.data(), 0));
  }
  return check(PQexecParams(connection_.get(), sql.c_str(), count, types_of(bound).data(),
                            values.data(), lengths.data(), formats.data(), 0));
}

Result<Rows> Postgres::ask(const std::string& sql, const std::vector<Bound>& bound) {
  if (in_transaction_) {
    if (!connection_) return lost("the connection was lost in the midst of a transaction");
    return send(sql, bound);
  }
  RETORT_TRY_VOID(connect());
  auto rows = send(sql, bound);
  if (rows || connection_ || !only_reads(sql)) return rows;
  RETORT_TRY_VOID(connect());
  return send(sql, bound);
}

void Postgres::note_changes(const PGresult* rows) {
  const std::string count = PQcmdTuples(const_cast<PGresult*>(rows));
  changes_ = count.empty() ? 0 : std::strtoll(count.c_str(), nullptr, 10);
}

Result<std::unique_ptr<StatementBackend>> Postgres::prepare(std::string_view sql) {
  return std::unique_ptr<StatementBackend>(new PostgresStatement(this, to_postgres(sql)));
}

Result<void> Postgres::execute(const std::string& sql) {
  RETORT_TRY(const auto rows, ask(to_postgres(sql), {}));
  note_changes(rows.get());
  return {};
}

// The text of the tables is its own name: who finds it noted has nothing to do, and needs no right
// to create any.
Result<void> Postgres::create_tables(const std::string& sql) {
  const auto is_noted = [&]() -> Result<bool> {
    RETORT_TRY(const auto there, ask("SELECT to_regclass('retort_tables') IS NOT NULL", {}));
    if (std::strcmp(PQgetvalue(there.get(), 0, 0), "t") != 0) return false;
    RETORT_TRY(const auto found,
               ask("SELECT 1 FROM retort_tables WHERE made = $1", {text_of(sql)}));
    return PQntuples(found.get()) == 1;
  };
  RETORT_TRY(const bool noted, is_noted());
  if (noted) return {};
  RETORT_TRY_VOID(begin(Outcome::open));
  const auto made = [&]() -> Result<void> {
    RETORT_TRY_VOID(execute(fmt::format("SELECT pg_advisory_xact_lock({})", kTablesLock)));
    RETORT_TRY_VOID(execute(kOwnTables));
    RETORT_TRY_VOID(execute(sql));
    RETORT_TRY_VOID(
        ask("INSERT INTO retort_tables (made) VALUES ($1) ON CONFLICT DO NOTHING", {text_of(sql)}));
    return commit();
  }();
  rollback();
  return made;
}

Result<void> Postgres::begin(Outcome outcome) {
  mark_.clear();
  RETORT_TRY_VOID(connect());
  auto begun = send("BEGIN", {});
  if (!begun && !connection_) {  // an old connection that was found dead
    RETORT_TRY_VOID(connect());
    begun = send("BEGIN", {});
  }
  if (!begun) return begun.error();
  in_transaction_ = true;
  if (outcome == Outcome::open) return {};
  const std::string mark = random_mark();
  const auto marked =
      ask(to_postgres("INSERT INTO retort_marks VALUES (?1, 0, now_ms())"), {text_of(mark)});
  if (!marked) {
    const Error error = marked.error();
    rollback();
    return error;
  }
  mark_ = mark;
  return {};
}

void Postgres::rollback() {
  if (!in_transaction_) return;
  in_transaction_ = false;
  const Trouble why = trouble_;
  if (connection_ && !send("ROLLBACK", {})) {
    connection_.reset();
    known_.clear();
  }
  trouble_ = why;
}

Result<void> Postgres::commit() {
  in_transaction_ = false;
  if (!connection_) return lost("the connection was lost, and nothing was changed");
  const auto done = send("COMMIT", {});
  if (!done) {
    if (connection_ || mark_.empty()) return done.error();
    return read_outcome();
  }
  if (std::strcmp(PQcmdStatus(done->get()), "COMMIT") == 0) return {};
  trouble_ = Trouble::other;
  return base::storage_error("PostgreSQL undid the change", shown_, "do the same again");
}

Result<void> Postgres::read_outcome() {
  const int64_t until_ms = base::system_clock().monotonic_ms() + kPatience_ms;
  while (true) {
    const auto committed = was_committed();
    if (committed && *committed) return {};
    if (committed) {
      return base::storage_error("the connection to PostgreSQL was lost, and nothing was changed",
                                 shown_, "do the same again");
    }
    if (base::system_clock().monotonic_ms() >= until_ms) {
      return base::storage_error(
          "the connection to PostgreSQL was lost, and it is not known whether the change was made",
          shown_, "look at what is there before you do the same again");
    }
    base::system_clock().sleep_ms(kPause_ms);
  }
}

// Whoever writes the key first has decided: the transaction, which is waited for where it is still
// under way, or this fence, after which it can no longer succeed.
Result<bool> Postgres::was_committed() {
  RETORT_TRY_VOID(connect());
  const std::vector<Bound> mark = {text_of(mark_)};
  RETORT_TRY_VOID(send(to_postgres("INSERT INTO retort_marks VALUES (?1, 1, now_ms()) "
                                   "ON CONFLICT DO NOTHING"),
                       mark));
  RETORT_TRY(const auto found, send("SELECT fence FROM retort_marks WHERE mark = $1", mark));
  return PQntuples(found.get()) == 1 && std::strcmp(PQgetvalue(found.get(), 0, 0), "0") == 0;
}

}  // namespace retort::store
