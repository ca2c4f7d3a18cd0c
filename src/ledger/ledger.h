// The log of everything that permission depends on: terms, doors, shards, verdicts. A folder with
//   log.db            entries, hashes and signed checkpoints (SQLite)
//   checkpoint, tile/ the newest signed checkpoint (C2SP tlog-checkpoint) and the tree and entries
//                     as static files (C2SP tlog-tiles), for others to keep; derived, never read
//                     back as truth
//   key.pem           the log's Ed25519 key, mode 0600, made at first use; verifier.key is its
//   public part
// docs/reference/ledger.md specifies the bytes. Entries are canonical JSON, {"body", "kind",
// "name", "time_ms"}, below 64 KiB, numbered without gaps from 0, never changed. Two processes may
// append at once. Not safe from two threads at once.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "json/value.h"
#include "ledger/checkpoint.h"
#include "ledger/tree.h"

namespace retort::ledger {

struct Entry {
  int64_t index = 0;
  std::string kind;  // "terms", "door", "termset", "shard", "weights", "verdict"
  std::string name;  // unique within a kind; "" for entries that have none
  int64_t time_ms = 0;
  json::Value body;
};

// An entry to be.
struct Draft {
  std::string kind = {};
  std::string name = {};
  json::Value body = {};
};

// A proof that needs nothing but the log's public key to be checked.
struct Proof {
  int64_t index = 0;
  std::string entry;  // the bytes
  std::vector<Digest> path;
  std::string checkpoint;
};

class Ledger {
 public:
  struct Options {
    bool create = true;            // else a missing ledger is not_found
    base::Clock* clock = nullptr;  // nullptr: the machine's
  };
  static Result<std::unique_ptr<Ledger>> open(const std::string& folder, const Options& options);
  static Result<std::unique_ptr<Ledger>> open(const std::string& folder);
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // On disk, with a signed checkpoint, when it returns. A name that the kind has already gives the
  // index of that entry and appends nothing. Times never go back. Refused (bad_input) when the log
  // is behind what it published, or another: it would contradict its own checkpoint.
  Result<int64_t> append(const std::string& kind, const std::string& name, json::Value body);
  // Several at once, all or none, as entries at_size, at_size + 1 and so on, so that they may name
  // each other. False, and nothing is appended, when the log has another size by now. Names must be
  // new to their kinds (bad_input).
  Result<bool> append_all(int64_t at_size, std::vector<Draft> drafts);

  Result<Entry> entry(int64_t index);
  // not_found when there is none of that name.
  Result<Entry> find(const std::string& kind, const std::string& name);
  Result<void> for_each(const std::string& kind, const std::function<Result<void>(const Entry&)>&);

  Result<TreeHead> head();
  Result<std::string> checkpoint();
  Result<Proof> prove(int64_t index);
  Result<std::vector<Digest>> prove_consistency(int64_t old_size);

  // Recomputes every hash, every root that was ever signed and every signature; the error names the
  // first bad entry. Returns how many entries there are.
  Result<int64_t> verify();
  // Compares every tile with the database: missing and torn ones are derived again (returns how
  // many), others are bad_input that names the first entry concerned.
  Result<int64_t> verify_tiles();
  // Whether this log, which verify() found sound, continues the one of a checkpoint that somebody
  // kept: not when it was rolled back or rewritten since.
  Result<void> verify_against(std::string_view checkpoint);

  const std::string& folder() const;
  const std::string& origin() const;
  const crypto::PublicKey& public_key() const;

 private:
  struct Impl;
  explicit Ledger(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The bytes of an entry, such as a proof's.
Result<Entry> parse_entry(std::string_view bytes, int64_t index, const std::string& where);

// Checks a proof by itself.
Result<void> verify_proof(const Proof& proof, const std::string& origin,
                          const crypto::PublicKey& key);

// The nearest folder named `ledger` upwards from `start`, as git finds .git; not_found when there
// is none up to the root.
Result<std::string> find_ledger(const std::string& start);

}  // namespace retort::ledger
