#include "accounts/book.h"

#include <fmt/core.h>

#include <algorithm>

#include "accounts/book_internal.h"
#include "base/address.h"
#include "base/files.h"

namespace retort::accounts {
namespace {

constexpr size_t kMaxText = 1000;  // of a name, a purpose, a reason
constexpr int64_t kLook_ms = 10;   // a server is not asked before every request

Result<void> check_text(const std::string& text, const char* what, bool needed) {
  if (needed && text.empty()) return base::usage_error(fmt::format("there is no {}", what));
  const bool control = std::any_of(text.begin(), text.end(), [](char letter) {
    return static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f;
  });
  if (text.size() <= kMaxText && !control) return {};
  return base::usage_error(
      fmt::format("a {} of at most {} bytes on one line is needed", what, kMaxText));
}

}  // namespace

Result<std::unique_ptr<Book>> Book::open(const std::string& address) {
  return open(address, Options{});
}

Result<std::unique_ptr<Book>> Book::open(const std::string& address, const Options& options) {
  const bool is_server = store::is_server(address);
  if (options.create && !is_server) RETORT_TRY_VOID(base::make_directories(base::parent(address)));
  RETORT_TRY(auto database, store::Database::open(address, {.create = options.create}));
  RETORT_TRY_VOID(database->create_tables(kBookTables));
  RETORT_TRY(auto get, database->prepare("SELECT value FROM meta WHERE key = 'schema'"));
  RETORT_TRY(const bool is_there, get.step());
  const int64_t schema = is_there ? get.integer(0) : kBookSchema;
  get.reset();
  if (schema != kBookSchema) {
    return base::bad_input(fmt::format("the book of accounts has schema {}; this program reads {}",
                                       schema, kBookSchema),
                           database->path(), "use the program that made it, or a newer one");
  }
  RETORT_TRY(auto version, database->prepare("SELECT 1 FROM meta WHERE key = 'version'"));
  RETORT_TRY(const bool is_counted, version.step());
  version.reset();
  if (!is_there || !is_counted) {
    RETORT_TRY(auto put, database->prepare("INSERT INTO meta VALUES ('schema', ?1), ('version', 1) "
                                           "ON CONFLICT DO NOTHING"));
    RETORT_TRY_VOID(put.bind(1, kBookSchema).run());
  }
  auto* clock = options.clock != nullptr ? options.clock : &base::system_clock();
  std::string where = database->path();
  return std::unique_ptr<Book>(new Book(
      std::make_unique<Impl>(Impl{std::move(where), is_server, clock, std::move(database)})));
}

Book::Book(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Book::~Book() = default;

// Whoever changes the book holds its version until the end, so that changes follow one another on a
// server as they do in a file, and rows of the history are never seen out of their order.
Result<store::Transaction> Book::Impl::begin() {
  RETORT_TRY(auto transaction, database->begin());
  RETORT_TRY(auto row,
             database->prepare("UPDATE meta SET value = value + 1 WHERE key = 'version'"));
  RETORT_TRY_VOID(row.run());
  return transaction;
}

Result<void> Book::Impl::note(const std::string& account, const Change& change) {
  RETORT_TRY(auto row, database->prepare("INSERT INTO history (time_ms, account, actor, subject, "
                                         "what, before, after) VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
                                         "?7)"));
  return row.bind(1, clock->wall_ms())
      .bind(2, account)
      .bind(3, change.actor)
      .bind(4, change.subject)
      .bind(5, change.what)
      .bind(6, change.before)
      .bind(7, change.after)
      .run();
}

Result<void> Book::Impl::put_payer(const std::string& account, const std::string& payer) {
  RETORT_TRY(auto row, database->prepare("INSERT INTO payers VALUES (?1, ?2) ON CONFLICT (account) "
                                         "DO UPDATE SET payer = ?2"));
  return row.bind(1, account).bind(2, payer).run();
}

Result<void> Book::set_payer(const std::string& id, const std::string& payer,
                             const std::string& actor) {
  RETORT_TRY_VOID(check_text(payer, "payer", false));
  RETORT_TRY(const auto before, account(id));
  RETORT_TRY(auto transaction, impl_->begin());
  RETORT_TRY_VOID(impl_->put_payer(id, payer));
  RETORT_TRY_VOID(impl_->note(
      id,
      {.actor = actor, .subject = id, .what = "payer", .before = before.payer, .after = payer}));
  return transaction.commit();
}

Result<void> Book::note(const std::string& account, const Change& change) {
  RETORT_TRY(auto transaction, impl_->begin());
  RETORT_TRY_VOID(impl_->note(account, change));
  return transaction.commit();
}

Result<Account> Book::create(const NewAccount& account, const std::string& actor) {
  RETORT_TRY_VOID(check_text(account.name, "name", true));
  RETORT_TRY_VOID(check_text(account.organisation, "organisation", false));
  RETORT_TRY_VOID(check_text(account.payer, "payer", false));
  RETORT_TRY_VOID(check_text(account.purpose, "purpose", false));
  RETORT_TRY_VOID(check_text(account.declaration, "declaration", false));
  Account made;
  made.id = make_id("acct_");
  made.name = account.name;
  made.organisation = account.organisation;
  made.payer = account.payer;
  made.purpose = account.purpose;
  made.training = account.training;
  made.declaration = account.declaration;
  made.created_ms = impl_->clock->wall_ms();
  RETORT_TRY(auto transaction, impl_->begin());
  RETORT_TRY(auto row, impl_->database->prepare(
                           "INSERT INTO accounts VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, '', '', ?7)"));
  RETORT_TRY_VOID(row.bind(1, made.id)
                      .bind(2, made.name)
                      .bind(3, made.organisation)
                      .bind(4, made.purpose)
                      .bind(5, static_cast<int64_t>(made.training))
                      .bind(6, made.declaration)
                      .bind(7, made.created_ms)
                      .run());
  if (!made.payer.empty()) RETORT_TRY_VOID(impl_->put_payer(made.id, made.payer));
  RETORT_TRY_VOID(impl_->note(made.id, {.actor = actor,
                                        .subject = made.id,
                                        .what = "created",
                                        .before = "",
                                        .after = fmt::format("training {}", name(made.training))}));
  RETORT_TRY_VOID(transaction.commit());
  return made;
}

Result<std::vector<Account>> Book::list() {
  RETORT_TRY(auto rows,
             impl_->database->prepare(fmt::format("SELECT {} FROM {} ORDER BY a.created_ms, a.id",
                                                  kAccountColumns, kAccountTables)));
  std::vector<Account> out;
  while (true) {
    RETORT_TRY(const bool more, rows.step());
    if (!more) return out;
    RETORT_TRY(auto one, account_of(rows, 0, impl_->path));
    out.push_back(std::move(one));
  }
}

Result<Account> Book::account(const std::string& id) {
  RETORT_TRY(auto row, impl_->database->prepare(fmt::format("SELECT {} FROM {} WHERE a.id = ?1",
                                                            kAccountColumns, kAccountTables)));
  RETORT_TRY(const bool found, row.bind(1, id).step());
  if (!found) {
    return base::not_found(fmt::format("there is no account “{}”", id), impl_->path,
                           "retort account list shows them");
  }
  return account_of(row, 0, impl_->path);
}

Result<std::vector<Key>> Book::keys(const std::string& account) {
  RETORT_TRY(auto rows,
             impl_->database->prepare(fmt::format(
                 "SELECT {} FROM keys WHERE account = ?1 ORDER BY created_ms, id", kKeyColumns)));
  rows.bind(1, account);
  std::vector<Key> out;
  while (true) {
    RETORT_TRY(const bool more, rows.step());
    if (!more) return out;
    RETORT_TRY(auto one, key_of(rows, 0, impl_->path));
    out.push_back(std::move(one));
  }
}

Result<Key> Book::key(const std::string& id) {
  return impl_->key(id);
}

Result<std::vector<Change>> Book::history(const std::string& account) {
  RETORT_TRY(auto rows, impl_->database->prepare(
                            "SELECT time_ms, actor, subject, what, before, after FROM history "
                            "WHERE account = ?1 ORDER BY id"));
  rows.bind(1, account);
  std::vector<Change> out;
  while (true) {
    RETORT_TRY(const bool more, rows.step());
    if (!more) return out;
    const auto text = [&rows](int column) { return std::string(rows.text(column)); };
    out.push_back({rows.integer(0), text(1), text(2), text(3), text(4), text(5)});
  }
}

Result<std::vector<Book::Numbered>> Book::changes_after(int64_t row, int64_t most) {
  RETORT_TRY(auto rows,
             impl_->database->prepare(
                 "SELECT id, account, time_ms, actor, subject, what, before, after FROM history "
                 "WHERE id > ?1 ORDER BY id LIMIT ?2"));
  rows.bind(1, row).bind(2, most);
  std::vector<Numbered> out;
  while (true) {
    RETORT_TRY(const bool more, rows.step());
    if (!more) return out;
    const auto text = [&rows](int column) { return std::string(rows.text(column)); };
    out.push_back(
        {rows.integer(0), text(1), {rows.integer(2), text(3), text(4), text(5), text(6), text(7)}});
  }
}

Result<Key> Book::Impl::key(const std::string& id) {
  RETORT_TRY(auto row,
             database->prepare(fmt::format("SELECT {} FROM keys WHERE id = ?1", kKeyColumns)));
  RETORT_TRY(const bool found, row.bind(1, id).step());
  if (!found) {
    return base::not_found(fmt::format("there is no key “{}”", id), path,
                           "retort account show ACCOUNT lists its keys");
  }
  return key_of(row, 0, path);
}

Result<IssuedKey> Book::Impl::insert_key(const NewKey& key, const std::string& what,
                                         const std::string& actor) {
  IssuedKey made;
  made.secret = make_key(key.kind);
  made.key.id = make_id("key_");
  made.key.account = key.account;
  made.key.kind = key.kind;
  made.key.label = key.label;
  made.key.limits = key.limits;
  made.key.created_ms = clock->wall_ms();
  const auto hash = hash_key(made.secret);
  RETORT_TRY(auto row, database->prepare("INSERT INTO keys VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, "
                                         "0, '')"));
  RETORT_TRY_VOID(row.bind(1, made.key.id)
                      .bind(2, key.account)
                      .bind(3, static_cast<int64_t>(key.kind))
                      .bind(4, key.label)
                      .bind_blob(5, crypto::as_bytes(hash))
                      .bind(6, limits_json(key.limits))
                      .bind(7, key.limits.expires_ms)
                      .bind(8, made.key.created_ms)
                      .run());
  RETORT_TRY_VOID(note(key.account, {.actor = actor,
                                     .subject = made.key.id,
                                     .what = what,
                                     .before = "",
                                     .after = limits_json(key.limits)}));
  return made;
}

Result<IssuedKey> Book::issue(const NewKey& key, const std::string& actor) {
  RETORT_TRY_VOID(check_text(key.label, "label", false));
  RETORT_TRY_VOID(base::check_addresses(key.limits.addresses));
  RETORT_TRY(auto transaction, impl_->begin());
  RETORT_TRY_VOID(account(key.account));
  RETORT_TRY(auto made, impl_->insert_key(key, "key issued", actor));
  RETORT_TRY_VOID(transaction.commit());
  return made;
}

Result<IssuedKey> Book::rotate(const std::string& id, int64_t overlap_ms,
                               const std::string& actor) {
  RETORT_TRY(auto transaction, impl_->begin());
  RETORT_TRY(const auto old, impl_->key(id));
  const int64_t now_ms = impl_->clock->wall_ms();
  if (!opens(old, now_ms) || !old.replaced_by.empty()) {
    return base::usage_error(
        fmt::format("the key {} is {}", id,
                    old.replaced_by.empty() ? "no longer valid" : "rotated already"),
        "", "issue a new one: retort account issue ACCOUNT");
  }
  RETORT_TRY(
      auto made,
      impl_->insert_key(
          {.account = old.account, .kind = old.kind, .label = old.label, .limits = old.limits},
          "key issued by rotation", actor));
  RETORT_TRY(auto row, impl_->database->prepare(
                           "UPDATE keys SET ends_ms = ?2, replaced_by = ?3 WHERE id = ?1"));
  RETORT_TRY_VOID(row.bind(1, id)
                      .bind(2, now_ms + std::max<int64_t>(0, overlap_ms))
                      .bind(3, made.key.id)
                      .run());
  RETORT_TRY_VOID(impl_->note(
      old.account,
      {.actor = actor, .subject = id, .what = "key rotated", .before = id, .after = made.key.id}));
  RETORT_TRY_VOID(transaction.commit());
  return made;
}

Result<void> Book::revoke(const std::string& id, const std::string& actor) {
  RETORT_TRY(auto transaction, impl_->begin());
  RETORT_TRY(const auto old, impl_->key(id));
  if (!opens(old, impl_->clock->wall_ms())) return {};  // it opens nothing already
  RETORT_TRY(auto row, impl_->database->prepare("UPDATE keys SET ends_ms = ?2 WHERE id = ?1"));
  RETORT_TRY_VOID(row.bind(1, id).bind(2, impl_->clock->wall_ms()).run());
  RETORT_TRY_VOID(impl_->note(
      old.account,
      {.actor = actor, .subject = id, .what = "key revoked", .before = "valid", .after = ""}));
  return transaction.commit();
}

Result<void> Book::Impl::move(const std::string& account, State from, State to,
                              const std::string& reason, const std::string& case_id,
                              const std::string& actor) {
  RETORT_TRY_VOID(check_text(reason, "reason", true));
  RETORT_TRY(auto transaction, begin());
  RETORT_TRY(auto row, database->prepare("UPDATE accounts SET state = ?3, reason = ?4, case_id = "
                                         "?5 WHERE id = ?1 AND state = ?2"));
  RETORT_TRY_VOID(row.bind(1, account)
                      .bind(2, static_cast<int64_t>(from))
                      .bind(3, static_cast<int64_t>(to))
                      .bind(4, reason)
                      .bind(5, case_id)
                      .run());
  if (database->changes() != 1) {
    return base::usage_error(fmt::format("the account {} is not {}", account, name(from)), path,
                             "retort account show " + account + " tells its state");
  }
  RETORT_TRY_VOID(note(account, {.actor = actor,
                                 .subject = account,
                                 .what = to == State::suspended ? "suspended" : "reinstated",
                                 .before = name(from),
                                 .after = case_id.empty() ? reason : case_id + ": " + reason}));
  return transaction.commit();
}

Result<void> Book::suspend(const std::string& id, const std::string& reason,
                           const std::string& case_id, const std::string& actor) {
  RETORT_TRY_VOID(account(id));
  return impl_->move(id, State::active, State::suspended, reason, case_id, actor);
}

Result<void> Book::reinstate(const std::string& id, const std::string& reason,
                             const std::string& actor) {
  RETORT_TRY_VOID(account(id));
  return impl_->move(id, State::suspended, State::active, reason, "", actor);
}

Result<std::optional<Principal>> Book::find(std::string_view secret) {
  if (!parse_key(secret)) return std::optional<Principal>{};
  const auto hash = hash_key(secret);
  RETORT_TRY(auto row,
             impl_->database->prepare(fmt::format(
                 "SELECT k.id, k.account, k.kind, k.label, k.limits, k.expires_ms, k.created_ms, "
                 "k.ends_ms, k.replaced_by, {} FROM {} JOIN keys k ON k.account = a.id "
                 "WHERE k.hash = ?1",
                 kAccountColumns, kAccountTables)));
  RETORT_TRY(const bool found, row.bind_blob(1, crypto::as_bytes(hash)).step());
  if (!found) return std::optional<Principal>{};
  Principal out;
  RETORT_TRY(out.key, key_of(row, 0, impl_->path));
  RETORT_TRY(out.account, account_of(row, 9, impl_->path));
  if (!opens(out.key, impl_->clock->wall_ms())) return std::optional<Principal>{};
  return std::optional(std::move(out));
}

Result<int64_t> Book::version() {
  Impl& book = *impl_;
  const int64_t now_ms = base::system_clock().monotonic_ms();
  if (book.is_server && book.seen != 0 && now_ms - book.seen_ms < kLook_ms) return book.seen;
  const int64_t count = book.database->change_count();
  if (count >= 0 && count == book.seen_count) return book.seen;
  if (!book.version) {
    RETORT_TRY(auto prepared,
               book.database->prepare("SELECT value FROM meta WHERE key = 'version'"));
    book.version.emplace(std::move(prepared));
  }
  RETORT_TRY(const bool is_there, book.version->step());
  if (!is_there) return base::storage_error("the book of accounts has no version", book.path);
  book.seen = book.version->integer(0);
  book.seen_ms = now_ms;
  book.seen_count = book.database->change_count();  // while the row is there: of what it says
  book.version->reset();
  return book.seen;
}

}  // namespace retort::accounts
