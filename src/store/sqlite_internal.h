// SQLite behind database.h, and its error codes as sentences for people.
#pragma once
#include <memory>
#include <string>

#include "base/result.h"
#include "store/backend_internal.h"
#include "store/database.h"

struct sqlite3;
struct sqlite3_stmt;

namespace retort::store {

// `code` is an extended or primary result code; the handle, if any, gives SQLite's own words.
Error sqlite_failure(sqlite3* database, int code, const std::string& path);

Result<std::unique_ptr<DatabaseBackend>> open_sqlite(const std::string& path,
                                                     const Database::Options& options);

class SqliteStatement final : public StatementBackend {
 public:
  SqliteStatement(sqlite3_stmt* handle, sqlite3* database) : handle_(handle), database_(database) {}
  ~SqliteStatement() override;
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  void bind(int index, int64_t value) override;
  void bind(int index, std::string_view text) override;
  void bind_blob(int index, std::string_view bytes) override;
  void bind_null(int index) override;
  Result<bool> step() override;
  void reset() override;
  int64_t integer(int column) const override;
  std::string_view text(int column) const override;
  std::string_view blob(int column) const override;
  bool is_null(int column) const override;

 private:
  void note(int code);
  sqlite3_stmt* handle_;
  sqlite3* database_;
  int bind_error_ = 0;
};

}  // namespace retort::store
