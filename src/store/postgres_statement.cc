#include <charconv>

#include "store/postgres_internal.h"

namespace retort::store {

void PostgresStatement::put(int index, Bound::Kind kind, std::string bytes) {
  const auto at = static_cast<size_t>(index);
  if (bound_.size() < at) bound_.resize(at);
  bound_[at - 1] = {kind, std::move(bytes)};
}

void PostgresStatement::bind(int index, int64_t value) {
  put(index, Bound::Kind::integer, std::to_string(value));
}
void PostgresStatement::bind(int index, std::string_view text) {
  put(index, Bound::Kind::text, std::string(text));
}
void PostgresStatement::bind_blob(int index, std::string_view bytes) {
  put(index, Bound::Kind::blob, std::string(bytes));
}
void PostgresStatement::bind_null(int index) {
  put(index, Bound::Kind::null, "");
}

Result<bool> PostgresStatement::step() {
  if (!rows_) {
    auto asked = database_->ask(sql_, bound_);
    if (!asked) {
      reset();
      return asked.error();
    }
    rows_ = std::move(*asked);
    database_->note_changes(rows_.get());
  }
  if (++row_ < PQntuples(rows_.get())) return true;
  reset();
  return false;
}

void PostgresStatement::reset() {
  rows_.reset();
  row_ = -1;
  bound_.assign(bound_.size(), {});
}

bool PostgresStatement::is_null(int column) const {
  return PQgetisnull(rows_.get(), row_, column) != 0;
}

std::string_view PostgresStatement::text(int column) const {
  return {PQgetvalue(rows_.get(), row_, column),
          static_cast<size_t>(PQgetlength(rows_.get(), row_, column))};
}

int64_t PostgresStatement::integer(int column) const {
  const auto digits = text(column);
  int64_t out = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), out);
  return out;
}

std::string_view PostgresStatement::blob(int column) const {
  size_t size = 0;
  auto* plain = PQunescapeBytea(
      reinterpret_cast<const unsigned char*>(PQgetvalue(rows_.get(), row_, column)), &size);
  if (plain == nullptr) return {};
  bytes_.assign(reinterpret_cast<const char*>(plain), size);
  PQfreemem(plain);
  return bytes_;
}

}  // namespace retort::store
