// NAME.columns (docs/reference/ledger.md): of every record its leaf and, since form 2, all that the
// gate asks about it, so that permission can be judged without its text. Written by one thread;
// what was parsed is immutable.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "corpus/record.h"
#include "corpus/record_internal.h"
#include "crypto/hash.h"

namespace retort::corpus {

inline bool operator==(const LeafCodes& a, const LeafCodes& b) {
  return a.terms_set == b.terms_set && a.door == b.door;
}

// What records have in common that were asked for alike; only times differ within one.
struct ColumnClass {
  Kind kind = Kind::teacher;
  LeafCodes codes{};
  std::string model_answered{}, split{};
  terms::Preference preference = terms::Preference::absent;
  uint16_t features = 0;
  bool operator==(const ColumnClass&) const = default;
};
ColumnClass class_of(const Record& record, const LeafCodes& codes);

// What form 1 has behind a leaf.
std::string beside_leaf(uint16_t features);

class ColumnsWriter {
 public:
  void add(const Record& record, const LeafCodes& codes, const crypto::Digest& leaf);
  // The file's bytes; the writer is done.
  std::string finish();

 private:
  uint16_t place_of(const ColumnClass& one);

  std::map<std::string, uint16_t> classes_;  // by their canonical JSON
  std::vector<std::string> dictionary_;
  ColumnClass last_;  // of the record before: mostly this one's too
  uint16_t last_place_ = 0;
  std::string leaves_;
  std::vector<uint16_t> class_of_row_;
  std::vector<int64_t> captured_ms_;
};

class Columns {
 public:
  // bad_input, at `where`, for bytes that are not columns of so many records, and for a form that
  // this program does not know.
  static Result<Columns> parse(std::string bytes, int64_t records, const std::string& where);

  // Whether what a record was asked for stands beside its leaf: not in form 1.
  bool tell_facts() const { return form_ > 1; }
  size_t records() const { return records_; }
  std::string_view leaf(size_t row) const;
  const std::vector<ColumnClass>& classes() const { return classes_; }
  // -1 for a record whose line has to be read: one with several origins.
  int64_t class_index(size_t row) const;
  int64_t captured_ms(size_t row) const;
  // Of form 1 only: its bytes behind the leaf.
  std::string_view beside_leaf(size_t row) const;

 private:
  Result<void> read_classes(std::string_view json);

  std::string bytes_;
  int form_ = 1;
  size_t records_ = 0;
  int64_t base_ms_ = 0;
  std::vector<ColumnClass> classes_;
  size_t leaves_at_ = 0, classes_at_ = 0, times_at_ = 0;
};

// The file at `path`, which must be the one that the log names; bad_input where it is not.
struct ShardEntry;
Result<Columns> read_columns(const std::string& path, const ShardEntry& entry);

}  // namespace retort::corpus
