// What a store must be able to do to stand behind database.h, whose words hold here too.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace retort::store {

class StatementBackend {
 public:
  virtual ~StatementBackend() = default;
  virtual void bind(int index, int64_t value) = 0;
  virtual void bind(int index, std::string_view text) = 0;
  virtual void bind_blob(int index, std::string_view bytes) = 0;
  virtual void bind_null(int index) = 0;
  virtual Result<bool> step() = 0;
  virtual void reset() = 0;
  virtual int64_t integer(int column) const = 0;
  virtual std::string_view text(int column) const = 0;
  virtual std::string_view blob(int column) const = 0;
  virtual bool is_null(int column) const = 0;
};

// Whether a transaction's outcome is to be told when the answer to its COMMIT is lost.
enum class Outcome { told, open };

class DatabaseBackend {
 public:
  virtual ~DatabaseBackend() = default;
  virtual Result<std::unique_ptr<StatementBackend>> prepare(std::string_view sql) = 0;
  virtual Result<void> execute(const std::string& sql) = 0;
  virtual Result<void> create_tables(const std::string& sql) = 0;
  virtual Result<void> begin(Outcome outcome) = 0;
  virtual Result<void> commit() = 0;
  virtual void rollback() = 0;  // nothing where no transaction is open
  // Whether the last failure is one that the same work may not meet again.
  virtual bool worth_another_try() const = 0;
  virtual Result<void> check_integrity() = 0;
  virtual int64_t change_count() const { return -1; }
  virtual int64_t changes() const = 0;
  virtual int64_t last_row_id() const = 0;
  virtual std::string shown() const = 0;  // the address, for people
};

Result<std::unique_ptr<DatabaseBackend>> open_postgres(const std::string& address);

}  // namespace retort::store
