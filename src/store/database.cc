#include "store/database.h"

#include "base/check.h"
#include "base/clock.h"
#include "store/backend_internal.h"
#include "store/sqlite_internal.h"

namespace retort::store {
namespace {

constexpr int kTries = 3;
constexpr int64_t kPauseMs = 20;  // after the first try, twice that after the second

}  // namespace

bool is_server(std::string_view address) {
  return address.starts_with("postgresql://") || address.starts_with("postgres://");
}

Statement::Statement(std::unique_ptr<StatementBackend> backend) : backend_(std::move(backend)) {}
Statement::Statement(Statement&& other) noexcept = default;
Statement::~Statement() = default;

Statement& Statement::bind(int index, int64_t value) {
  backend_->bind(index, value);
  return *this;
}
Statement& Statement::bind(int index, std::string_view text) {
  backend_->bind(index, text);
  return *this;
}
Statement& Statement::bind_blob(int index, std::string_view bytes) {
  backend_->bind_blob(index, bytes);
  return *this;
}
Statement& Statement::bind_null(int index) {
  backend_->bind_null(index);
  return *this;
}

Result<bool> Statement::step() {
  return backend_->step();
}

Result<void> Statement::run() {
  RETORT_TRY(const bool row, step());
  if (row) reset();
  return {};
}

void Statement::reset() {
  backend_->reset();
}
int64_t Statement::integer(int column) const {
  return backend_->integer(column);
}
std::string_view Statement::text(int column) const {
  return backend_->text(column);
}
std::string_view Statement::blob(int column) const {
  return backend_->blob(column);
}
bool Statement::is_null(int column) const {
  return backend_->is_null(column);
}

Transaction::~Transaction() {
  if (database_ != nullptr) database_->rollback();
}

Result<void> Transaction::commit() {
  RETORT_CHECK(database_ != nullptr, "a transaction ends once");
  RETORT_TRY_VOID(database_->commit());
  database_ = nullptr;
  return {};
}

Database::Database(std::unique_ptr<DatabaseBackend> backend, std::string path)
    : backend_(std::move(backend)), path_(std::move(path)) {}
Database::~Database() = default;

Result<std::unique_ptr<Database>> Database::open(const std::string& address) {
  return open(address, Options{});
}

Result<std::unique_ptr<Database>> Database::open(const std::string& address,
                                                 const Options& options) {
  auto opened = is_server(address) ? open_postgres(address) : open_sqlite(address, options);
  if (!opened) return opened.error();
  std::string shown = (*opened)->shown();
  return std::unique_ptr<Database>(new Database(std::move(*opened), std::move(shown)));
}

Result<Statement> Database::prepare(std::string_view sql) {
  RETORT_TRY(auto backend, backend_->prepare(sql));
  return Statement(std::move(backend));
}

Result<void> Database::execute(const std::string& sql) {
  return backend_->execute(sql);
}

Result<void> Database::create_tables(const std::string& sql) {
  return backend_->create_tables(sql);
}

Result<Transaction> Database::begin() {
  RETORT_TRY_VOID(backend_->begin(Outcome::told));
  return Transaction(backend_.get());
}

Result<void> Database::transact(const std::function<Result<void>()>& work) {
  for (int attempt = 1;; ++attempt) {
    // Whoever waits for what this one had must get it first, or both are in each other's way anew.
    if (attempt > 1) base::system_clock().sleep_ms(kPauseMs * (attempt - 1));
    auto done = backend_->begin(Outcome::open);
    if (!done) return done;
    Transaction transaction(backend_.get());
    done = work();
    const bool refused = !done && done.error().code != ErrorCode::storage;
    if (done) done = transaction.commit();
    if (done || refused || attempt == kTries || !backend_->worth_another_try()) return done;
  }
}

Result<void> Database::check_integrity() {
  return backend_->check_integrity();
}
int64_t Database::change_count() const {
  return backend_->change_count();
}
int64_t Database::changes() const {
  return backend_->changes();
}
int64_t Database::last_row_id() const {
  return backend_->last_row_id();
}

}  // namespace retort::store
