// Reading a shard's lines and holding each against its column: shard.cc says what else has to fit.
#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "corpus/columns_internal.h"
#include "corpus/record.h"
#include "corpus/sealed_line_internal.h"
#include "corpus/shard_internal.h"

namespace retort::corpus {

// One thread calls; the work is done by the compute threads of base/parallel.h. Entry and codes
// outlive it.
class ShardReading {
 public:
  // Records are made only where they are kept: checking needs none.
  enum class Keep { rows, records };
  ShardReading(std::string path, Columns columns, const ShardEntry& entry, CodeBook& codes,
               Keep keep = Keep::rows)
      : path_(std::move(path)),
        columns_(std::move(columns)),
        entry_(&entry),
        codes_(&codes),
        keep_(keep) {}

  // Every record against its column; stops at the first that does not fit. `bytes` as they are in
  // the file, compressed.
  Result<void> run(std::string_view bytes);

  const std::vector<CheckedRow>& rows() const { return rows_; }
  const std::vector<crypto::Digest>& leaves() const { return leaves_; }
  std::vector<crypto::Digest> take_leaves() { return std::move(leaves_); }
  std::vector<Record> take_records() { return std::move(records_); }

 private:
  std::string where(size_t row) const;
  bool is_erased(size_t row) const { return entry_->erased.contains(static_cast<int64_t>(row)); }
  Result<void> take(const std::vector<std::string_view>& lines);
  Result<void> take_line(SealedLine& sealed, std::string_view line, size_t row);
  Result<void> take_any_line(std::string_view line, size_t row);
  Result<void> take_erased(size_t row);
  Result<LeafCodes> find_codes(const Record& record);
  // The column's leaf is the row's.
  bool has_leaf(size_t row) const;
  // What the column says besides is what the line says. -1: the column says nothing.
  using IsOfClass = std::function<bool(const ColumnClass&)>;
  Result<void> compare(size_t row, uint16_t features, int64_t captured_ms,
                       const IsOfClass& is_of) const;
  Result<void> verdict(size_t row, bool fits) const;
  Error no_codes(size_t row, const Error& error) const;
  Error not_as_sealed(size_t row, const char* why) const;

  std::string path_;
  Columns columns_;
  const ShardEntry* entry_;
  CodeBook* codes_;
  Keep keep_;
  // Held while the log is asked, and while an error is noted: both are rare.
  std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();
  std::vector<Record> records_;  // empty unless they are kept
  std::vector<CheckedRow> rows_;
  std::vector<crypto::Digest> leaves_;
};

}  // namespace retort::corpus
