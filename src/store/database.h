// SQLite with the settings that lose nothing: rollback journal (TRUNCATE), synchronous=FULL,
// foreign keys on, no WAL; prepared statements only. A Database belongs to one thread at a time.
// Errors are storage errors that say what to do: disk full, locked by another process, damaged.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace retort::store {

class Database;

// One statement, to be bound and stepped again and again. It must not outlive its database.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  // Parameters count from 1. Text and blobs are copied.
  Statement& bind(int index, int64_t value);
  Statement& bind(int index, std::string_view text);
  Statement& bind_blob(int index, std::string_view bytes);
  Statement& bind_null(int index);

  // True: a row is there. False: done; the statement is ready to be bound again.
  Result<bool> step();
  // For statements without rows: bind, run(), again.
  Result<void> run();
  // Back to before the first row; bindings are cleared.
  void reset();

  // Columns count from 0; valid until the next step.
  int64_t integer(int column) const;
  std::string_view text(int column) const;
  std::string_view blob(int column) const;
  bool is_null(int column) const;

 private:
  friend class Database;
  Statement(sqlite3_stmt* handle, sqlite3* database) : handle_(handle), database_(database) {}
  sqlite3_stmt* handle_;
  sqlite3* database_;
  int bind_error_ = 0;
};

// Ends in commit(); without it, everything since begin() is undone.
class Transaction {
 public:
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  Result<void> commit();

 private:
  friend class Database;
  explicit Transaction(Database* database) : database_(database) {}
  Database* database_;
};

class Database {
 public:
  struct Options {
    bool create = true;
    bool read_only = false;
    int busy_timeout_ms = 10'000;  // how long to wait for another process
  };
  static Result<std::unique_ptr<Database>> open(const std::string& path, const Options& options);
  static Result<std::unique_ptr<Database>> open(const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  Result<Statement> prepare(std::string_view sql);
  // Fixed SQL without parameters: schema, pragmas. Several statements may follow each other.
  Result<void> execute(const std::string& sql);
  // Takes the write lock at once (BEGIN IMMEDIATE), so that no later step can find it taken.
  Result<Transaction> begin();
  // Every page, index and constraint; the error quotes the first fault.
  Result<void> check_integrity();

  int64_t changes() const;  // rows changed by the last statement
  int64_t last_row_id() const;
  const std::string& path() const { return path_; }

 private:
  friend class Transaction;
  Database(sqlite3* handle, std::string path) : handle_(handle), path_(std::move(path)) {}
  sqlite3* handle_;
  std::string path_;
};

}  // namespace retort::store
