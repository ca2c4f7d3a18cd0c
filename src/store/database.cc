#include "store/database.h"

#include <fmt/core.h>
#include <sqlite3.h>

#include "base/check.h"
#include "base/files.h"
#include "store/error_internal.h"

namespace retort::store {

Error sqlite_failure(sqlite3* database, int code, const std::string& path) {
  const std::string words =
      database != nullptr ? sqlite3_errmsg(database) : std::string(sqlite3_errstr(code));
  switch (code & 0xff) {
    case SQLITE_FULL:
      return base::storage_error("the disk is full", path,
                                 "make room and run the same command again; nothing was lost");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return base::storage_error("the database is in use by another process", path,
                                 "wait until it has ended and run the same command again");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return base::storage_error(fmt::format("the database is damaged: {}", words), path,
                                 "put it back from a backup, or move it away to start anew");
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
      return base::storage_error(fmt::format("cannot open the database: {}", words), path,
                                 "check that the folder is there and that you may write to it");
    case SQLITE_IOERR:
      return base::storage_error(fmt::format("the disk failed: {}", words), path,
                                 "check the disk and its free space, then run it again");
    default:
      return base::storage_error(fmt::format("the database failed: {}", words), path);
  }
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path) {
  return open(path, Options{});
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path, const Options& options) {
  if (!options.create && !base::exists(path)) {
    return base::not_found("there is no such database", path);
  }
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  flags |= options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  if (options.create && !options.read_only) flags |= SQLITE_OPEN_CREATE;
  sqlite3* handle = nullptr;
  const int opened = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  std::unique_ptr<Database> database(new Database(handle, path));
  if (opened != SQLITE_OK) return sqlite_failure(handle, opened, path);
  sqlite3_busy_timeout(handle, options.busy_timeout_ms);
  // A hostile file may hold triggers and views that call functions; those are never run.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  if (options.read_only) {
    RETORT_TRY_VOID(database->execute("PRAGMA query_only=ON; SELECT count(*) FROM sqlite_schema;"));
  } else {
    // The first read of the file happens here, so a damaged one is found at once.
    RETORT_TRY_VOID(database->execute(
        "PRAGMA journal_mode=TRUNCATE; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"));
  }
  return database;
}

Database::~Database() {
  if (handle_ != nullptr) sqlite3_close_v2(handle_);
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), 0, &statement, nullptr);
  if (code != SQLITE_OK) return sqlite_failure(handle_, code, path_);
  RETORT_CHECK(statement != nullptr, "no statement in: {}", sql);
  return Statement(statement, handle_);
}

Result<void> Database::execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return sqlite_failure(handle_, code, path_);
  return {};
}

Result<Transaction> Database::begin() {
  RETORT_TRY_VOID(execute("BEGIN IMMEDIATE"));
  return Transaction(this);
}

Transaction::~Transaction() {
  // Some errors (a full disk) have undone it already; then there is nothing left to undo.
  if (database_ != nullptr && sqlite3_get_autocommit(database_->handle_) == 0) {
    sqlite3_exec(database_->handle_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

Result<void> Transaction::commit() {
  RETORT_CHECK(database_ != nullptr, "a transaction ends once");
  RETORT_TRY_VOID(database_->execute("COMMIT"));
  database_ = nullptr;
  return {};
}

Result<void> Database::check_integrity() {
  RETORT_TRY(auto statement, prepare("PRAGMA integrity_check(1)"));
  RETORT_TRY(const bool row, statement.step());
  if (!row || statement.text(0) != "ok") {
    return base::storage_error(
        fmt::format("the database is damaged: {}", row ? statement.text(0) : "no answer"), path_,
        "put it back from a backup, or move it away to start anew");
  }
  return {};
}

int64_t Database::changes() const {
  return sqlite3_changes64(handle_);
}
int64_t Database::last_row_id() const {
  return sqlite3_last_insert_rowid(handle_);
}

}  // namespace retort::store
