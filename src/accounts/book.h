// The book of accounts and keys: a file (SQLite) that a server reads while another process
// administers, or tables on a PostgreSQL that several machines share. Every change is on disk when
// it returns and leaves a line in the history: who, what, before, after. Changes follow one
// another, also on a server, and one that is answered with an error was not made, unless the error
// says that this is not known. Keys are stored as hashes of the whole key; a key is shown once,
// when it is made.
//
// A Book belongs to one thread at a time. Errors: usage (a value that cannot be), not_found (no
// such account or key), storage.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "accounts/account.h"
#include "base/clock.h"
#include "base/result.h"

namespace retort::accounts {

struct NewAccount {
  std::string name;
  std::string organisation{};
  std::string payer{};
  std::string purpose{};
  Training training = Training::forbidden;
  std::string declaration{};
};

struct NewKey {
  std::string account;
  KeyKind kind = KeyKind::api;
  std::string label{};
  KeyLimits limits{};
};

// The only time that the key itself is seen.
struct IssuedKey {
  Key key;
  std::string secret;
};

// Whom a key stands for, as it was when it was looked up.
struct Principal {
  Account account;
  Key key;
};

class Book {
 public:
  struct Options {
    bool create = true;            // a file that is not there
    base::Clock* clock = nullptr;  // nullptr: the machine's
  };
  // A path, or postgresql://...
  static Result<std::unique_ptr<Book>> open(const std::string& address, const Options& options);
  static Result<std::unique_ptr<Book>> open(const std::string& address);
  ~Book();
  Book(const Book&) = delete;
  Book& operator=(const Book&) = delete;

  Result<Account> create(const NewAccount& account, const std::string& actor);
  Result<std::vector<Account>> list();
  Result<Account> account(const std::string& id);
  Result<std::vector<Key>> keys(const std::string& account);
  Result<Key> key(const std::string& id);
  // Of the account and its keys, oldest first; "" for what concerns no single account.
  Result<std::vector<Change>> history(const std::string& account);
  // Of all accounts, in their order, from behind a row; for a log that follows them.
  struct Numbered {
    int64_t row = 0;
    std::string account;
    Change change;
  };
  Result<std::vector<Numbered>> changes_after(int64_t row, int64_t most);
  // A change that was made elsewhere: of a limit.
  Result<void> note(const std::string& account, const Change& change);

  Result<IssuedKey> issue(const NewKey& key, const std::string& actor);
  // A new key with the same limits; the old one goes on for `overlap_ms`. The account keeps its
  // history, its limits and what it has used.
  Result<IssuedKey> rotate(const std::string& key, int64_t overlap_ms, const std::string& actor);
  Result<void> revoke(const std::string& key, const std::string& actor);

  // What detection may go by from the account's next look-up on; "" for unknown.
  Result<void> set_payer(const std::string& account, const std::string& payer,
                         const std::string& actor);

  // `reason` is read by the customer; a suspension without one is refused.
  Result<void> suspend(const std::string& account, const std::string& reason,
                       const std::string& case_id, const std::string& actor);
  Result<void> reinstate(const std::string& account, const std::string& reason,
                         const std::string& actor);

  // Nothing for a key that is malformed, unknown, revoked or expired: alike, so that nobody learns
  // which. A suspended account is found: the caller says why it gets nothing.
  Result<std::optional<Principal>> find(std::string_view secret);
  // A number that differs whenever somebody changed the book since the last call that returned
  // another one; costs some microseconds, and a server is asked every 10 ms at most.
  Result<int64_t> version();

 private:
  friend class Cases;  // on the same connection, so that both change in one transaction
  struct Impl;
  explicit Book(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace retort::accounts
