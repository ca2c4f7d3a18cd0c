// PostgreSQL behind database.h, over libpq: one connection, made when it is needed.
#pragma once
#include <libpq-fe.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/backend_internal.h"

namespace retort::store {

struct RowsDeleter {
  void operator()(PGresult* rows) const { PQclear(rows); }
};
using Rows = std::unique_ptr<PGresult, RowsDeleter>;
struct ConnectionDeleter {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};

// What is bound to a parameter. Text and bytes go as they are, numbers as digits.
struct Bound {
  enum class Kind : char { null, integer, text, blob };
  Kind kind = Kind::null;
  std::string bytes{};
};

class Postgres final : public DatabaseBackend {
 public:
  explicit Postgres(std::string address);

  Result<std::unique_ptr<StatementBackend>> prepare(std::string_view sql) override;
  Result<void> execute(const std::string& sql) override;
  Result<void> create_tables(const std::string& sql) override;
  Result<void> begin(Outcome outcome) override;
  Result<void> commit() override;
  void rollback() override;
  bool worth_another_try() const override { return trouble_ != Trouble::other; }
  Result<void> check_integrity() override { return execute("SELECT 1"); }
  int64_t changes() const override { return changes_; }
  int64_t last_row_id() const override { return 0; }
  std::string shown() const override { return shown_; }

  // Asks the server, over a new connection where none is there and no transaction is open.
  Result<Rows> ask(const std::string& sql, const std::vector<Bound>& bound);
  void note_changes(const PGresult* rows);

 private:
  enum class Trouble { other, again, lost };

  Result<void> connect();
  Result<void> open_connection();
  // On the connection as it is.
  Result<Rows> send(const std::string& sql, const std::vector<Bound>& bound);
  Result<Rows> check(PGresult* rows);
  Error failure(const PGresult* rows);
  Error lost(const std::string& words);
  // The name that the server knows a statement by; none for one that is asked for the first time.
  Result<std::optional<std::string>> prepared(const std::string& sql,
                                              const std::vector<Bound>& bound);
  Result<void> read_outcome();
  Result<bool> was_committed();

  std::string address_, shown_;
  std::unique_ptr<PGconn, ConnectionDeleter> connection_;
  std::map<std::string, std::optional<std::string>> known_;  // of this connection, by their text
  int64_t prepared_ = 0;                                     // so far, for their names
  bool in_transaction_ = false;
  std::string mark_;  // of the transaction, in retort_marks; "": its outcome is not asked for
  Trouble trouble_ = Trouble::other;
  int64_t changes_ = 0;
  std::optional<Error> refused_;  // the last attempt to connect, which counts until
  int64_t refused_until_ms_ = 0;
};

class PostgresStatement final : public StatementBackend {
 public:
  PostgresStatement(Postgres* database, std::string sql)
      : database_(database), sql_(std::move(sql)) {}
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
  void put(int index, Bound::Kind kind, std::string bytes);
  Postgres* database_;
  std::string sql_;
  std::vector<Bound> bound_;
  Rows rows_;
  int row_ = -1;
  mutable std::string bytes_;  // of the column that was read last
};

}  // namespace retort::store
