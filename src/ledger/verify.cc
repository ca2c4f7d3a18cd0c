// Recomputing the log, without trusting any stored hash.
#include <fmt/core.h>

#include "base/files.h"
#include "ledger/ledger_internal.h"

namespace retort::ledger {
namespace {

Error bad_entry(const std::string& where, std::string what) {
  return base::bad_input(std::move(what), where,
                         "the log was changed after it was written; restore it from a backup");
}

// The tree as it grows: one hash for each whole subtree on the right edge.
class Growing {
 public:
  void add(Digest hash) {
    for (int64_t n = size_; (n & 1) != 0; n >>= 1) {
      hash = node_hash(edge_.back(), hash);
      edge_.pop_back();
    }
    edge_.push_back(hash);
    ++size_;
  }
  int64_t size() const { return size_; }
  Digest root() const {
    if (edge_.empty()) return tree_root({});
    Digest hash = edge_.back();
    for (size_t i = edge_.size() - 1; i-- > 0;) hash = node_hash(edge_[i], hash);
    return hash;
  }

 private:
  int64_t size_ = 0;
  std::vector<Digest> edge_;
};

}  // namespace

Result<int64_t> Ledger::verify() {
  RETORT_TRY_VOID(impl_->database->check_integrity());
  RETORT_TRY(auto rows,
             impl_->database->prepare(
                 "SELECT e.idx, e.kind, coalesce(e.name, ''), e.time_ms, e.entry, c.note "
                 "FROM entries e LEFT JOIN checkpoints c ON c.size = e.idx + 1 "
                 "ORDER BY e.idx"));
  Growing tree;
  int64_t last_ms = 0;
  while (true) {
    RETORT_TRY(const bool row, rows.step());
    if (!row) break;
    const std::string where = impl_->where(tree.size());
    if (rows.integer(0) != tree.size()) return bad_entry(where, "an entry of the log is missing");
    const std::string_view bytes = rows.blob(4);
    const auto leaf = leaf_hash(bytes);
    const auto stored = impl_->nodes.node(0, tree.size());
    if (!stored || *stored != leaf) {
      return bad_entry(where, "an entry of the log does not fit its hash");
    }
    const auto entry = parse_entry(bytes, tree.size(), where);
    if (!entry || entry->kind != rows.text(1) || entry->name != rows.text(2) ||
        entry->time_ms != rows.integer(3) || entry->time_ms < last_ms) {
      return bad_entry(where, "an entry of the log does not fit its columns");
    }
    last_ms = entry->time_ms;
    tree.add(leaf);
    const auto opened = open_checkpoint(rows.text(5), impl_->origin, impl_->key.public_key());
    if (!opened) return opened.error().at(where);
    if (opened->head.size != tree.size() || opened->head.root != tree.root()) {
      return bad_entry(where, "an entry of the log does not fit the root signed with it");
    }
  }
  RETORT_TRY(const auto root, impl_->nodes.root(tree.size()));
  if (root != tree.root()) return bad_entry(impl_->folder, "the log's stored hashes are wrong");

  // The copy outside the database notices entries cut off at the end.
  const auto copy = base::read_file(base::join(impl_->folder, "checkpoint"), 1 << 16);
  if (!copy && tree.size() == 0) return tree.size();
  if (!copy) return copy.error();
  RETORT_TRY(const auto outside, open_checkpoint(*copy, impl_->origin, impl_->key.public_key()));
  if (outside.head.size > tree.size()) {
    return bad_entry(impl_->where(tree.size()), "entries were cut off the end of the log");
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
