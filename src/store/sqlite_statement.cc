#include <sqlite3.h>

#include <utility>

#include "base/check.h"
#include "store/sqlite_internal.h"

namespace retort::store {
namespace {

std::string path_of(sqlite3* database) {
  const char* name = sqlite3_db_filename(database, "main");
  return name != nullptr ? name : "";
}

}  // namespace

SqliteStatement::~SqliteStatement() {
  sqlite3_finalize(handle_);
}

void SqliteStatement::note(int code) {
  if (code != SQLITE_OK) bind_error_ = code;
}

void SqliteStatement::bind(int index, int64_t value) {
  note(sqlite3_bind_int64(handle_, index, value));
}

void SqliteStatement::bind(int index, std::string_view text) {
  const char* data = text.data() != nullptr ? text.data() : "";
  note(sqlite3_bind_text64(handle_, index, data, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

void SqliteStatement::bind_blob(int index, std::string_view bytes) {
  const char* data = bytes.data() != nullptr ? bytes.data() : "";
  note(sqlite3_bind_blob64(handle_, index, data, bytes.size(), SQLITE_TRANSIENT));
}

void SqliteStatement::bind_null(int index) {
  note(sqlite3_bind_null(handle_, index));
}

Result<bool> SqliteStatement::step() {
  RETORT_CHECK(bind_error_ != SQLITE_RANGE && bind_error_ != SQLITE_MISUSE,
               "no such parameter in: {}", sqlite3_sql(handle_));
  if (bind_error_ != SQLITE_OK) {  // too big, or out of memory
    const int code = std::exchange(bind_error_, SQLITE_OK);
    reset();
    return sqlite_failure(nullptr, code, path_of(database_));
  }
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    reset();
    return false;
  }
  const Error error = sqlite_failure(database_, code, path_of(database_));
  reset();
  return error;
}

void SqliteStatement::reset() {
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);
}

int64_t SqliteStatement::integer(int column) const {
  return sqlite3_column_int64(handle_, column);
}

std::string_view SqliteStatement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
  if (data == nullptr) return {};
  return {data, static_cast<size_t>(sqlite3_column_bytes(handle_, column))};
}

std::string_view SqliteStatement::blob(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(handle_, column));
  if (data == nullptr) return {};
  return {data, static_cast<size_t>(sqlite3_column_bytes(handle_, column))};
}

bool SqliteStatement::is_null(int column) const {
  return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}

}  // namespace retort::store
