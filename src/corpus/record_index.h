// Which record lies where, and what was made from it: key -> (shard, row), parent -> children, and
// the split of a row, without a look into the shards. One file a shard in LEDGER/index
// (docs/reference/record-index.md), mapped; written when the shard is sealed, and made again from
// the shards alone where one is missing or damaged.
//
// Every answer is exact, or an error that names the file in the way: a damaged block is noticed
// when it is first read (bad_input). An open index does not see shards that are sealed later. One
// thread at a time.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "corpus/record.h"
#include "crypto/hash.h"
#include "ledger/ledger.h"

namespace retort::corpus {

struct RecordPlace {
  std::string shard;  // digest, 64 hex digits
  uint32_t row = 0;
  bool operator==(const RecordPlace&) const = default;
};

class RecordIndex {
 public:
  // `folder`: of the ledger. Without any file the index is empty.
  static Result<RecordIndex> open(const std::string& ledger_folder);
  RecordIndex(RecordIndex&&) noexcept;
  RecordIndex& operator=(RecordIndex&&) noexcept;
  ~RecordIndex();

  bool has(const std::string& shard) const;
  // not_found, here and below, for a shard that has no file.
  Result<int64_t> records(const std::string& shard) const;

  // All records of that key. What was made from a record, if only kept, has a key of its own.
  Result<std::vector<RecordPlace>> find(const crypto::Digest& key) const;
  // Rows of `shard` that have one of these rows of `parent` (ascending) as a parent; ascending.
  Result<std::vector<uint32_t>> children(const std::string& shard, const std::string& parent,
                                         const std::vector<uint32_t>& rows) const;
  // Digests of the shards in which these records have parents.
  Result<std::vector<std::string>> parents(const std::string& shard) const;
  Result<std::string> split(const std::string& shard, uint32_t row) const;
  // How many records of the shard are in that split; "" for all.
  Result<int64_t> count(const std::string& shard, const std::string& split) const;
  // Every record of the shard, in the order of the keys.
  Result<void> for_each(const std::string& shard,
                        const std::function<void(const crypto::Digest& key, uint32_t row)>&) const;
  // Number of the entry of the shard's set of terms.
  Result<int64_t> terms_set(const std::string& shard) const;

  int64_t size_bytes() const;
  // Reads every block; the error names the first bad file.
  Result<void> check() const;

 private:
  struct Impl;
  explicit RecordIndex(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Writes the file of one shard, whose records come in the order of their rows.
class RecordIndexWriter {
 public:
  // `where` names the records in errors.
  explicit RecordIndexWriter(std::string where);
  ~RecordIndexWriter();
  RecordIndexWriter(const RecordIndexWriter&) = delete;
  RecordIndexWriter& operator=(const RecordIndexWriter&) = delete;

  // bad_input for a key or digest that is none, more splits than fit, a row out of range.
  Result<void> add(std::string_view key, std::string_view split,
                   std::span<const ParentLink> parents);
  // Whole, or as before; returns its bytes. `terms_set`: number of the entry.
  Result<int64_t> finish(const std::string& ledger_folder, const std::string& shard,
                         int64_t terms_set);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct IndexReport {
  int64_t present = 0;               // files that were there and sound
  int64_t written = 0;               // made from their shards
  std::vector<std::string> missing;  // digests of logged shards that were not found
};
// Makes what is missing or damaged from the shards below these folders: each must have the bytes
// that the log knows.
Result<IndexReport> update_index(ledger::Ledger& ledger, const std::vector<std::string>& folders);

}  // namespace retort::corpus
