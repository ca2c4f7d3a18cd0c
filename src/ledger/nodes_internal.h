// The log's tables. Nodes are kept for whole subtrees alone (level 0 = leaves), so that they never
// change; roots and proofs need O(log n) of them.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/tree.h"
#include "store/database.h"

namespace retort::ledger {

inline constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
  idx INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT, time_ms INTEGER NOT NULL,
  entry BLOB NOT NULL, UNIQUE (kind, name));
CREATE TABLE IF NOT EXISTS nodes (
  level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT NULL,
  PRIMARY KEY (level, idx)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoints (size INTEGER PRIMARY KEY, note TEXT NOT NULL);
)";

class Nodes {
 public:
  static Result<Nodes> open(store::Database& database);

  // The leaf at index `size`, and the whole subtrees that it completes.
  Result<void> append(int64_t size, const Digest& leaf);
  Result<Digest> root(int64_t size);
  Result<std::vector<Digest>> prove_inclusion(int64_t index, int64_t size);
  Result<std::vector<Digest>> prove_consistency(int64_t old_size, int64_t size);
  Result<Digest> node(int level, int64_t index);
  // The bytes of the nodes [begin, end) of one level, one after the other.
  Result<std::string> run(int level, int64_t begin, int64_t end);

 private:
  Nodes(store::Statement get, store::Statement put, store::Statement run)
      : get_(std::move(get)), put_(std::move(put)), run_(std::move(run)) {}
  Result<Digest> range(int64_t begin, int64_t end);
  Result<void> subproof(int64_t begin, int64_t end, int64_t old_end, bool whole,
                        std::vector<Digest>& proof);

  store::Statement get_, put_, run_;
};

}  // namespace retort::ledger
