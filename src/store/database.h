// SQL in a file of this machine (SQLite) or on a server that several machines share (PostgreSQL).
// The address says which: a path, or postgresql://USER@HOST/DATABASE. Both are asked in the same
// words: SQLite's, as far as PostgreSQL has the like; dialect_internal.h says what is translated.
//
// SQLite runs with the settings that lose nothing: rollback journal (TRUNCATE), synchronous=FULL,
// foreign keys on, no WAL. PostgreSQL runs at READ COMMITTED. A connection that is lost is an error
// of the call that met it, and made anew by the next call; nothing but what only reads is asked
// again unbidden. Within a transaction every call fails until that has ended.
//
// Prepared statements only. A Database belongs to one thread at a time. Errors are storage errors
// that say what to do: disk full, locked by another process, damaged, not reached. Without libpq at
// build time a PostgreSQL address is such an error.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace retort::store {

class DatabaseBackend;
class StatementBackend;

// Whether it names a server rather than a file.
bool is_server(std::string_view address);

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
  explicit Statement(std::unique_ptr<StatementBackend> backend);
  std::unique_ptr<StatementBackend> backend_;
};

// Ends in commit(); without it, everything since begin() is undone.
class Transaction {
 public:
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  // Success: it is kept. Where a server's answer is lost, its outcome is read back by a key of the
  // transaction's own, for up to ten seconds; an error says whether it was undone or is not known.
  Result<void> commit();

 private:
  friend class Database;
  explicit Transaction(DatabaseBackend* database) : database_(database) {}
  DatabaseBackend* database_;
};

class Database {
 public:
  struct Options {
    bool create = true;  // of a file
    bool read_only = false;
    int busy_timeout_ms = 10'000;  // how long to wait for another process
  };
  static Result<std::unique_ptr<Database>> open(const std::string& address, const Options& options);
  static Result<std::unique_ptr<Database>> open(const std::string& address);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  Result<Statement> prepare(std::string_view sql);
  // Fixed SQL without parameters. Several statements may follow each other.
  Result<void> execute(const std::string& sql);
  // Tables and indexes with IF NOT EXISTS; any number of processes may do it at once.
  Result<void> create_tables(const std::string& sql);
  // In a file it takes the write lock at once (BEGIN IMMEDIATE), so that no later step can find it
  // taken. On a server, who reads before it writes must lock what it reads.
  Result<Transaction> begin();
  // A transaction around `work`, which is run again, three times in all and after a pause of some
  // hundredths of a second, when a server undid it for the sake of another one or the connection
  // was lost, also at COMMIT: work must lead to the same state however often it was done, and its
  // first statement must lock what tells it whether it was. An error of work's undoes it and is
  // returned.
  Result<void> transact(const std::function<Result<void>()>& work);
  // Every page, index and constraint of a file; that a server answers.
  Result<void> check_integrity();

  // How often a file was changed, as it says itself, without a lock: another process's commit shows
  // here before it is acknowledged. A value that is read while a row of a statement is there
  // belongs to what that statement sees. -1 on a server, and where it cannot be read.
  int64_t change_count() const;
  int64_t changes() const;      // rows changed by the last statement
  int64_t last_row_id() const;  // of a file; on a server use RETURNING
  // For people: of a server without its password.
  const std::string& path() const { return path_; }

 private:
  Database(std::unique_ptr<DatabaseBackend> backend, std::string path);
  std::unique_ptr<DatabaseBackend> backend_;
  std::string path_;
};

}  // namespace retort::store
