#include <fmt/core.h>

#include <algorithm>

#include "corpus/bytes_internal.h"
#include "corpus/columns_internal.h"
#include "corpus/shard_internal.h"

namespace retort::corpus {
namespace {

constexpr std::string_view kMagic = "RTRCOLUM";
constexpr uint64_t kForm = 2;
constexpr size_t kHeadBytes = 32;
constexpr size_t kLeafBytes = sizeof(crypto::Digest);
constexpr size_t kClassBytes = 2;
constexpr size_t kTimeBytes = 5;
constexpr uint16_t kAskTheRecord = 0xffff;
constexpr int64_t kLongest_ms = int64_t{1} << (8 * kTimeBytes);

json::Value to_json(const ColumnClass& one) {
  return json::Value::object({{"answered", one.model_answered},
                              {"door", int64_t{one.codes.door}},
                              {"features", int64_t{one.features}},
                              {"kind", name(one.kind)},
                              {"preference", static_cast<int64_t>(one.preference)},
                              {"split", one.split},
                              {"terms", int64_t{one.codes.terms_set}}});
}

Result<int64_t> bounded(const json::Value& value, const char* key, int64_t most) {
  RETORT_TRY(const auto number, value.int_at(key));
  if (number < 0 || number > most) return base::bad_input(fmt::format("a class's {}", key));
  return number;
}

Result<ColumnClass> class_from_json(const json::Value& value) {
  ColumnClass out;
  RETORT_TRY(out.model_answered, value.string_at("answered"));
  RETORT_TRY(out.split, value.string_at("split"));
  RETORT_TRY(const auto word, value.string_at("kind"));
  bool known = false;
  for (const Kind kind : {Kind::teacher, Kind::human, Kind::derived, Kind::merged}) {
    if (word != name(kind)) continue;
    out.kind = kind;
    known = true;
  }
  if (!known) return base::bad_input("a class's kind");
  RETORT_TRY(const auto door, bounded(value, "door", UINT32_MAX));
  RETORT_TRY(const auto terms, bounded(value, "terms", UINT32_MAX));
  RETORT_TRY(const auto features, bounded(value, "features", UINT16_MAX));
  RETORT_TRY(const auto preference, bounded(value, "preference", 2));
  out.codes = {static_cast<uint32_t>(terms), static_cast<uint32_t>(door)};
  out.features = static_cast<uint16_t>(features);
  out.preference = static_cast<terms::Preference>(preference);
  return out;
}

Error not_columns(const std::string& where) {
  return base::bad_input("these are no columns of the shard's records", where, kRestore);
}

}  // namespace

ColumnClass class_of(const Record& record, const LeafCodes& codes) {
  return {.kind = record.kind,
          .codes = codes,
          .model_answered = record.model_answered,
          .split = record.split,
          .preference = record.preference,
          .features = record.features};
}

std::string beside_leaf(uint16_t features) {
  return column_of({}, features).substr(kLeafBytes);
}

uint16_t ColumnsWriter::place_of(const ColumnClass& one) {
  if (!dictionary_.empty() && one == last_) return last_place_;
  std::string key = json::canonical(to_json(one));
  const auto found = classes_.find(key);
  if (found == classes_.end() && dictionary_.size() == kAskTheRecord) return kAskTheRecord;
  last_ = one;
  if (found != classes_.end()) return last_place_ = found->second;
  last_place_ = static_cast<uint16_t>(dictionary_.size());
  dictionary_.push_back(key);
  classes_.emplace(std::move(key), last_place_);
  return last_place_;
}

void ColumnsWriter::add(const Record& record, const LeafCodes& codes, const crypto::Digest& leaf) {
  leaves_ += crypto::as_bytes(leaf);
  captured_ms_.push_back(record.captured_ms);
  class_of_row_.push_back(record.origins.empty() ? place_of(class_of(record, codes))
                                                 : kAskTheRecord);
}

std::string ColumnsWriter::finish() {
  std::string dictionary = "[";
  for (size_t i = 0; i < dictionary_.size(); ++i) {
    dictionary += i == 0 ? "" : ",";
    dictionary += dictionary_[i];
  }
  dictionary += "]";
  int64_t base_ms = captured_ms_.empty() ? 0 : captured_ms_[0];
  for (const int64_t one : captured_ms_) base_ms = std::min(base_ms, one);
  std::string out(kMagic);
  put(out, kForm, 4);
  put(out, class_of_row_.size(), 4);
  put(out, static_cast<uint64_t>(base_ms), 8);
  put(out, dictionary.size(), 4);
  put(out, 0, 4);
  out += dictionary;
  out += leaves_;
  std::string times;
  for (size_t row = 0; row < class_of_row_.size(); ++row) {
    // Unsigned, so that times from anywhere cannot overflow.
    const uint64_t after =
        static_cast<uint64_t>(captured_ms_[row]) - static_cast<uint64_t>(base_ms);
    const bool fits = after < static_cast<uint64_t>(kLongest_ms);
    put(out, fits ? class_of_row_[row] : kAskTheRecord, kClassBytes);
    put(times, fits ? after : 0, kTimeBytes);
  }
  return out + times;
}

Result<Columns> Columns::parse(std::string bytes, int64_t records, const std::string& where) {
  Columns out;
  out.bytes_ = std::move(bytes);
  out.records_ = static_cast<size_t>(records);
  const std::string_view all = out.bytes_;
  if (!all.starts_with(kMagic)) {
    if (all.size() != out.records_ * kColumnBytes) return not_columns(where);
    return out;
  }
  if (all.size() < kHeadBytes) return not_columns(where);
  const uint64_t form = number_at(all, 8, 4);
  if (form != kForm) {
    return base::bad_input(
        fmt::format("the columns have form {}; this program reads up to {}", form, kForm), where,
        "use a newer program");
  }
  out.form_ = static_cast<int>(form);
  out.base_ms_ = static_cast<int64_t>(number_at(all, 16, 8));
  const size_t dictionary_bytes = number_at(all, 24, 4);
  const size_t row_bytes = kLeafBytes + kClassBytes + kTimeBytes;
  out.leaves_at_ = kHeadBytes + dictionary_bytes;
  out.classes_at_ = out.leaves_at_ + out.records_ * kLeafBytes;
  out.times_at_ = out.classes_at_ + out.records_ * kClassBytes;
  if (number_at(all, 12, 4) != out.records_ || number_at(all, 28, 4) != 0 ||
      all.size() != out.leaves_at_ + out.records_ * row_bytes) {
    return not_columns(where);
  }
  if (auto read = out.read_classes(all.substr(kHeadBytes, dictionary_bytes)); !read) {
    return read.error().at(where);
  }
  for (size_t row = 0; row < out.records_; ++row) {
    if (out.class_index(row) >= std::ssize(out.classes_)) return not_columns(where);
  }
  return out;
}

Result<void> Columns::read_classes(std::string_view json) {
  RETORT_TRY(const auto value, json::parse(json));
  if (!value.is_array()) return base::bad_input("the classes are no list");
  for (const auto& item : value.as_array()) {
    RETORT_TRY(auto one, class_from_json(item));
    classes_.push_back(std::move(one));
  }
  return {};
}

std::string_view Columns::leaf(size_t row) const {
  const size_t at = form_ == 1 ? row * kColumnBytes : leaves_at_ + row * kLeafBytes;
  return std::string_view(bytes_).substr(at, kLeafBytes);
}

int64_t Columns::class_index(size_t row) const {
  if (form_ == 1) return -1;
  const auto at = number_at(bytes_, classes_at_ + row * kClassBytes, kClassBytes);
  return at == kAskTheRecord ? -1 : static_cast<int64_t>(at);
}

int64_t Columns::captured_ms(size_t row) const {
  const auto after = number_at(bytes_, times_at_ + row * kTimeBytes, kTimeBytes);
  return static_cast<int64_t>(static_cast<uint64_t>(base_ms_) + after);
}

std::string_view Columns::beside_leaf(size_t row) const {
  return std::string_view(bytes_).substr(row * kColumnBytes + kLeafBytes,
                                         kColumnBytes - kLeafBytes);
}

}  // namespace retort::corpus
