#include <fmt/core.h>
#include <sqlite3.h>

#include <array>

#include "base/check.h"
#include "base/clock.h"
#include "base/files.h"
#include "store/sqlite_internal.h"

namespace retort::store {
namespace {

class Sqlite final : public DatabaseBackend {
 public:
  Sqlite(sqlite3* handle, std::string path) : handle_(handle), path_(std::move(path)) {}
  ~Sqlite() override {
    if (handle_ != nullptr) sqlite3_close_v2(handle_);
  }
  Sqlite(const Sqlite&) = delete;
  Sqlite& operator=(const Sqlite&) = delete;

  Result<std::unique_ptr<StatementBackend>> prepare(std::string_view sql) override;
  Result<void> execute(const std::string& sql) override;
  Result<void> create_tables(const std::string& sql) override { return execute(sql); }
  Result<void> begin(Outcome) override { return execute("BEGIN IMMEDIATE"); }
  Result<void> commit() override { return execute("COMMIT"); }
  void rollback() override;
  bool worth_another_try() const override { return false; }
  Result<void> check_integrity() override;
  int64_t change_count() const override;
  int64_t changes() const override { return sqlite3_changes64(handle_); }
  int64_t last_row_id() const override { return sqlite3_last_insert_rowid(handle_); }
  std::string shown() const override { return path_; }

 private:
  sqlite3* handle_;
  std::string path_;
};

Error damaged(const std::string& what, const std::string& path) {
  return base::storage_error("the database is damaged: " + what, path,
                             "put it back from a backup, or move it away to start anew");
}

void now_ms(sqlite3_context* context, int, sqlite3_value**) {
  sqlite3_result_int64(context, base::system_clock().wall_ms());
}

Result<std::unique_ptr<StatementBackend>> Sqlite::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), 0, &statement, nullptr);
  if (code != SQLITE_OK) return sqlite_failure(handle_, code, path_);
  RETORT_CHECK(statement != nullptr, "no statement in: {}", sql);
  return std::unique_ptr<StatementBackend>(new SqliteStatement(statement, handle_));
}

Result<void> Sqlite::execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return sqlite_failure(handle_, code, path_);
  return {};
}

void Sqlite::rollback() {
  // Some errors (a full disk) have undone it already; then there is nothing left to undo.
  if (sqlite3_get_autocommit(handle_) == 0) {
    sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

// The file change counter of the file's header. Through SQLite's own open file: closing another one
// on the same path would drop the locks of this process.
int64_t Sqlite::change_count() const {
  constexpr int kAt = 24;
  sqlite3_file* file = nullptr;
  std::array<unsigned char, 4> bytes{};
  sqlite3_file_control(handle_, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (file == nullptr || file->pMethods == nullptr ||
      file->pMethods->xRead(file, bytes.data(), bytes.size(), kAt) != SQLITE_OK) {
    return -1;
  }
  int64_t count = 0;
  for (const auto byte : bytes) count = count << 8 | byte;
  return count;
}

Result<void> Sqlite::check_integrity() {
  RETORT_TRY(auto statement, prepare("PRAGMA integrity_check(1)"));
  RETORT_TRY(const bool row, statement->step());
  if (row && statement->text(0) == "ok") return {};
  return damaged(row ? std::string(statement->text(0)) : "no answer", path_);
}

}  // namespace

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
      return damaged(words, path);
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

Result<std::unique_ptr<DatabaseBackend>> open_sqlite(const std::string& path,
                                                     const Database::Options& options) {
  if (!options.create && !base::exists(path)) {
    return base::not_found("there is no such database", path);
  }
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  flags |= options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  if (options.create && !options.read_only) flags |= SQLITE_OPEN_CREATE;
  sqlite3* handle = nullptr;
  const int opened = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  std::unique_ptr<DatabaseBackend> database(new Sqlite(handle, path));
  if (opened != SQLITE_OK) return sqlite_failure(handle, opened, path);
  sqlite3_busy_timeout(handle, options.busy_timeout_ms);
  // A hostile file may hold triggers and views that call functions; those are never run.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_create_function(handle, "now_ms", 0, SQLITE_UTF8 | SQLITE_DIRECTONLY, nullptr, now_ms,
                          nullptr, nullptr);
  if (options.read_only) {
    RETORT_TRY_VOID(database->execute("PRAGMA query_only=ON; SELECT count(*) FROM sqlite_schema;"));
  } else {
    // The first read of the file happens here, so a damaged one is found at once.
    RETORT_TRY_VOID(database->execute(
        "PRAGMA journal_mode=TRUNCATE; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"));
  }
  return database;
}

}  // namespace retort::store
