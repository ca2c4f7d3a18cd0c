// The records of a selection as their shards' columns tell of them: without a text, at the price of
// hashing. Where columns cannot answer, the contents have to be read, and what is wrong is said by
// who reads those.
#pragma once
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "corpus/clearance.h"
#include "corpus/columns_internal.h"
#include "corpus/shard_internal.h"

namespace retort::corpus {

// The name of exactly these records in verdicts and manifests.
class SelectionDigest {
 public:
  explicit SelectionDigest(const Selection& selection) : split_(selection.split) {}
  // In the order of the shards.
  void add(const ShardEntry& entry);
  std::string finish();

 private:
  std::string split_;
  crypto::Sha256 hash_;
};

// The shards that the selection means, by their names.
Result<std::vector<Shard>> list_selected(const Selection& selection);

// A record cannot be younger than the entry that says it was sealed.
Result<void> check_captured(int64_t captured_ms, const ShardEntry& entry, const std::string& where);

// The digest of the selection as the log knows its shards; nothing where one is not in the log.
Result<std::optional<std::string>> logged_digest(const Selection& selection,
                                                 const ShardIndex& index);

// Records with the same facts, captured between the same two moments.
struct ColumnsGroup {
  Record facts;  // no text, no key, no parents; one of their times of capture
  int64_t records = 0;
};
struct SelectionColumns {
  std::vector<std::string> shards;  // digests
  std::vector<ColumnsGroup> groups;
};
// `on_row` (may be empty) hears of each record of the split: the shard's digest, the row, and which
// group. Nothing comes back where the columns cannot tell: an older form, records with several
// origins, erased records, anything that does not fit the log.
using OnColumnsRow = std::function<void(const std::string&, int64_t, size_t)>;
Result<std::optional<SelectionColumns>> read_columns_of(const Selection& selection,
                                                        ledger::Ledger& ledger,
                                                        const ShardIndex& index,
                                                        const std::set<int64_t>& moments,
                                                        const OnColumnsRow& on_row = nullptr);

}  // namespace retort::corpus
