// The book's tables, and reading their rows.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "accounts/book.h"
#include "store/database.h"

namespace retort::accounts {

inline constexpr int64_t kBookSchema = 1;
inline constexpr const char* kBookTables = R"(
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS accounts (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, organisation TEXT NOT NULL, purpose TEXT NOT NULL,
  training INTEGER NOT NULL, declaration TEXT NOT NULL, state INTEGER NOT NULL,
  reason TEXT NOT NULL, case_id TEXT NOT NULL, created_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS payers (
  account TEXT PRIMARY KEY REFERENCES accounts (id), payer TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS keys (
  id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts (id), kind INTEGER NOT NULL,
  label TEXT NOT NULL, hash BLOB NOT NULL UNIQUE, limits TEXT NOT NULL, expires_ms INTEGER NOT NULL,
  created_ms INTEGER NOT NULL, ends_ms INTEGER NOT NULL, replaced_by TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS keys_by_account ON keys (account, created_ms);
CREATE TABLE IF NOT EXISTS history (
  id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, account TEXT NOT NULL, actor TEXT NOT NULL,
  subject TEXT NOT NULL, what TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS history_by_account ON history (account, id);
CREATE TABLE IF NOT EXISTS policies (
  id TEXT PRIMARY KEY, series TEXT NOT NULL, text TEXT NOT NULL,
  added_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cases (
  id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts (id), opened_ms INTEGER NOT NULL,
  over INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS one_open_case ON cases (account) WHERE over = 0;
CREATE INDEX IF NOT EXISTS cases_by_account ON cases (account, opened_ms);
CREATE TABLE IF NOT EXISTS case_events (
  id INTEGER PRIMARY KEY, case_id TEXT NOT NULL REFERENCES cases (id), time_ms INTEGER NOT NULL,
  actor TEXT NOT NULL, what TEXT NOT NULL, step TEXT NOT NULL, status TEXT NOT NULL,
  reason TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_by_case ON case_events (case_id, id);
)";

inline constexpr const char* kAccountColumns =
    "a.id, a.name, a.organisation, a.purpose, a.training, a.declaration, a.state, a.reason, "
    "a.case_id, a.created_ms, COALESCE(p.payer, '')";
inline constexpr const char* kAccountTables = "accounts a LEFT JOIN payers p ON p.account = a.id";
inline constexpr const char* kKeyColumns =
    "id, account, kind, label, limits, expires_ms, created_ms, ends_ms, replaced_by";

// Of a row that begins at the column `first`, in the order above.
Result<Account> account_of(const store::Statement& row, int first, const std::string& where);
Result<Key> key_of(const store::Statement& row, int first, const std::string& where);

// {"scopes", "models", "addresses"}; the time of expiry has a column of its own.
std::string limits_json(const KeyLimits& limits);

struct Book::Impl {
  std::string path;  // for people
  bool is_server;
  base::Clock* clock;
  std::unique_ptr<store::Database> database;
  std::optional<store::Statement> version{};  // asked before every request
  int64_t seen_count = -1;                    // of the file's changes, as of `seen`
  int64_t seen = 0, seen_ms = 0;              // the version, and when it was read (monotonic)

  Result<store::Transaction> begin();
  Result<void> note(const std::string& account, const Change& change);
  Result<Key> key(const std::string& id);
  // In a transaction of the caller's.
  Result<void> put_payer(const std::string& account, const std::string& payer);
  Result<IssuedKey> insert_key(const NewKey& key, const std::string& what,
                               const std::string& actor);
  Result<void> move(const std::string& account, State from, State to, const std::string& reason,
                    const std::string& case_id, const std::string& actor);
};

}  // namespace retort::accounts
