// Recomputing the log, without trusting any stored hash.
#include <fmt/core.h>

#include "ledger/ledger_internal.h"

namespace retort::ledger {
namespace {

Error bad_entry(const std::string& where, std::string what) {
  return base::bad_input(std::move(what), where,
                         "the log was changed after it was written; restore it from a backup");
}

// The tree as it grows, each whole subtree compared with the stored hash.
class Growing {
 public:
  explicit Growing(Nodes& nodes) : nodes_(nodes) {}

  // False: a stored hash is another.
  bool add(Digest hash) {
    int level = 0;
    bool fits = is_stored(level, size_, hash);
    for (int64_t n = size_; (n & 1) != 0; n >>= 1) {
      hash = node_hash(edge_.back(), hash);
      edge_.pop_back();
      fits = fits && is_stored(++level, n >> 1, hash);
    }
    edge_.push_back(hash);
    ++size_;
    return fits;
  }
  int64_t size() const { return size_; }
  Digest root() const {
    if (edge_.empty()) return tree_root({});
    Digest hash = edge_.back();
    for (size_t i = edge_.size() - 1; i-- > 0;) hash = node_hash(edge_[i], hash);
    return hash;
  }

 private:
  bool is_stored(int level, int64_t index, const Digest& hash) {
    const auto stored = nodes_.node(level, index);
    return stored && *stored == hash;
  }

  Nodes& nodes_;
  int64_t size_ = 0;
  std::vector<Digest> edge_;
};

Result<int64_t> count(store::Database& database, const char* sql) {
  RETORT_TRY(auto row, database.prepare(sql));
  RETORT_TRY_VOID(row.step());
  return row.integer(0);
}

// Hashes of whole subtrees in a tree of `size` leaves.
int64_t whole_subtrees(int64_t size) {
  int64_t all = 0;
  for (; size > 0; size >>= 1) all += size;
  return all;
}

}  // namespace

Result<int64_t> Ledger::verify() {
  RETORT_TRY_VOID(impl_->database->check_integrity());
  // Entries, hashes and the published checkpoint are of one moment: nobody appends meanwhile.
  RETORT_TRY(auto lock, impl_->database->begin());
  RETORT_TRY(auto rows,
             impl_->database->prepare(
                 "SELECT e.idx, e.kind, coalesce(e.name, ''), e.time_ms, e.entry, c.note "
                 "FROM entries e LEFT JOIN checkpoints c ON c.size = e.idx + 1 "
                 "ORDER BY e.idx"));
  Growing tree(impl_->nodes);
  int64_t last_ms = 0;
  while (true) {
    RETORT_TRY(const bool row, rows.step());
    if (!row) break;
    const std::string where = impl_->where(tree.size());
    if (rows.integer(0) != tree.size()) return bad_entry(where, "an entry of the log is missing");
    const std::string_view bytes = rows.blob(4);
    const auto entry = parse_entry(bytes, tree.size(), where);
    if (!entry || entry->kind != rows.text(1) || entry->name != rows.text(2) ||
        entry->time_ms != rows.integer(3) || entry->time_ms < last_ms) {
      return bad_entry(where, "an entry of the log does not fit its columns");
    }
    last_ms = entry->time_ms;
    if (!tree.add(leaf_hash(bytes))) {
      return bad_entry(where, "an entry of the log does not fit its hash, or one above it");
    }
    const auto opened = open_checkpoint(rows.text(5), impl_->origin, impl_->key.public_key());
    if (!opened) return opened.error().at(where);
    if (opened->head.size != tree.size() || opened->head.root != tree.root()) {
      return bad_entry(where, "an entry of the log does not fit the root signed with it");
    }
  }
  // The copy outside the database notices entries cut off at the end.
  RETORT_TRY_VOID(impl_->published(tree.size()));
  RETORT_TRY(const auto hashes, count(*impl_->database, "SELECT count(*) FROM nodes"));
  RETORT_TRY(const auto signed_size,
             count(*impl_->database, "SELECT coalesce(max(size), 0) FROM checkpoints"));
  if (hashes != whole_subtrees(tree.size()) || signed_size != tree.size()) {
    return bad_entry(impl_->where(tree.size()),
                     "the log has hashes or checkpoints of entries that it has not");
  }
  return tree.size();
}

Result<void> verify_proof(const Proof& proof, const std::string& origin,
                          const crypto::PublicKey& key) {
  RETORT_TRY(const auto opened, open_checkpoint(proof.checkpoint, origin, key));
  if (!verify_inclusion(leaf_hash(proof.entry), proof.index, opened.head, proof.path)) {
    return base::bad_input("the proof does not lead from the entry to the signed root",
                           fmt::format("entry {}", proof.index));
  }
  return {};
}

}  // namespace retort::ledger
