#include "corpus/shard_reading_internal.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "base/parallel.h"
#include "corpus/zstd_internal.h"

namespace retort::corpus {
namespace {

constexpr int64_t kLinesPerThread = 16;

}  // namespace

std::string ShardReading::where(size_t row) const {
  return fmt::format("{}: record {}", path_, row);
}

Result<void> ShardReading::run(std::string_view bytes) {
  ZstdLines lines(bytes, path_);
  rows_.reserve(columns_.records());
  leaves_.reserve(columns_.records());
  while (true) {
    auto block = lines.next();
    if (!block) {
      return base::bad_input(
          fmt::format("{}, after record {}", block.error().message, rows_.size()), path_, kRestore);
    }
    if (block->empty()) return {};
    RETORT_TRY_VOID(take(*block));
  }
}

Result<void> ShardReading::take(const std::vector<std::string_view>& lines) {
  const size_t first = rows_.size();
  rows_.resize(first + lines.size());
  leaves_.resize(first + lines.size());
  if (keep_ == Keep::records) records_.resize(first + lines.size());
  std::map<size_t, Error> errors;  // each thread's first, by row
  base::parallel_for(std::ssize(lines), kLinesPerThread, [&](int64_t begin, int64_t end) {
    SealedLine sealed;
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      const auto taken = take_line(sealed, lines[i], first + i);
      if (taken) continue;
      const std::lock_guard lock(*mutex_);
      errors.emplace(i, taken.error());
      return;
    }
  });
  if (!errors.empty()) return errors.begin()->second;
  return {};
}

Result<void> ShardReading::take_line(SealedLine& sealed, std::string_view line, size_t row) {
  if (is_erased(row) || !sealed.read(line)) return take_any_line(line, row);
  rows_[row] = {sealed.key(), sealed.logprob_tokens()};
  const auto codes = sealed.codes([this](const Record& record) { return find_codes(record); });
  if (!codes) return no_codes(row, codes.error());
  leaves_[row] = sealed.leaf(*codes);
  if (keep_ == Keep::records) records_[row] = sealed.record();
  return compare(row, sealed.features(), sealed.captured_ms(),
                 [&](const ColumnClass& facts) { return sealed.is_of(facts, *codes); });
}

// However it is written: what is no record at all gets its error here.
Result<void> ShardReading::take_any_line(std::string_view line, size_t row) {
  RETORT_TRY(const auto value, json::parse(line, where(row)));
  const auto* retort = value.find("retort");
  const bool stands_for_erased =
      retort != nullptr && retort->string_at("schema", "").value_or("") == kErasedSchema;
  if (stands_for_erased != is_erased(row)) {
    return base::bad_input(stands_for_erased
                               ? "a record is said to be erased, and the log does not say so"
                               : "a record that was erased is here again",
                           where(row), kRestore);
  }
  if (stands_for_erased) return take_erased(row);
  RETORT_TRY(auto record, record_from_json(value, where(row)));
  RETORT_TRY(rows_[row].key, crypto::digest_from_hex(record.key));
  rows_[row].logprob_tokens = record.logprob_tokens;
  const auto codes = find_codes(record);
  if (!codes) return no_codes(row, codes.error());
  leaves_[row] = leaf_of(record, *codes);
  RETORT_TRY_VOID(compare(row, record.features, record.captured_ms, [&](const ColumnClass& facts) {
    return record.origins.empty() && facts == class_of(record, *codes);
  }));
  if (keep_ == Keep::records) records_[row] = std::move(record);
  return {};
}

// Of these the log and the columns have the leaf, and nobody the content.
Result<void> ShardReading::take_erased(size_t row) {
  const auto& erased = entry_->erased.at(static_cast<int64_t>(row));
  RETORT_TRY(rows_[row].key, crypto::digest_from_hex(erased.key));
  RETORT_TRY(leaves_[row], crypto::digest_from_hex(erased.leaf));
  if (keep_ == Keep::records) records_[row].key = erased.key;
  // Nobody knows whether the rest of the column is right.
  return verdict(row, has_leaf(row));
}

Result<LeafCodes> ShardReading::find_codes(const Record& record) {
  const std::lock_guard lock(*mutex_);
  return codes_->find(record);
}

Error ShardReading::no_codes(size_t row, const Error& error) const {
  if (error.code != ErrorCode::not_found) return error;
  return not_as_sealed(row, "names terms or a door that the log has not");
}

Error ShardReading::not_as_sealed(size_t row, const char* why) const {
  return base::bad_input(fmt::format("record {} ({}) {}", row,
                                     crypto::to_hex(rows_[row].key).substr(0, kNameDigits), why),
                         where(row), kRestore);
}

bool ShardReading::has_leaf(size_t row) const {
  return row < columns_.records() && columns_.leaf(row) == crypto::as_bytes(leaves_[row]);
}

Result<void> ShardReading::compare(size_t row, uint16_t features, int64_t captured_ms,
                                   const IsOfClass& is_of) const {
  if (!has_leaf(row)) return verdict(row, /*fits=*/false);
  if (!columns_.tell_facts()) {
    return verdict(row, columns_.beside_leaf(row) == beside_leaf(features));
  }
  const int64_t at = columns_.class_index(row);
  return verdict(row, at < 0 || (columns_.captured_ms(row) == captured_ms &&
                                 is_of(columns_.classes()[static_cast<size_t>(at)])));
}

Result<void> ShardReading::verdict(size_t row, bool fits) const {
  if (fits) return {};
  return not_as_sealed(row, "is not the one that was sealed there");
}

}  // namespace retort::corpus
