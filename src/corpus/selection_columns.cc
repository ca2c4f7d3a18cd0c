#include "corpus/selection_columns_internal.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>

#include "corpus/dictionary_internal.h"
#include "ledger/tree.h"

namespace retort::corpus {
namespace {

constexpr int64_t kClockSlack_ms = 10 * 60 * 1000;

// Where a time lies among the moments, and from when until when that is so.
struct Interval {
  int64_t from_ms = std::numeric_limits<int64_t>::max();
  int64_t until_ms = std::numeric_limits<int64_t>::min();
  bool holds(int64_t time_ms) const { return from_ms <= time_ms && time_ms < until_ms; }
};
Interval interval_of(int64_t time_ms, const std::set<int64_t>& moments) {
  const auto after = moments.upper_bound(time_ms);
  Interval out{std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()};
  if (after != moments.end()) out.until_ms = *after;
  if (after != moments.begin()) out.from_ms = *std::prev(after);
  return out;
}

crypto::Digest root_of(const Columns& columns) {
  std::vector<crypto::Digest> leaves(columns.records());
  for (size_t row = 0; row < leaves.size(); ++row) {
    std::memcpy(leaves[row].data(), columns.leaf(row).data(), leaves[row].size());
  }
  return ledger::tree_root(leaves);
}

// The shard's columns, where file, columns and root are those of the log.
std::optional<Columns> sound_columns(const Shard& shard, const ShardEntry& entry) {
  if (!entry.erased.empty()) return std::nullopt;
  const auto file = crypto::sha256_file_hex(shard.path());
  if (!file || *file != entry.file) return std::nullopt;
  auto columns = read_columns(columns_path(shard.path()), entry);
  if (!columns || !columns->tell_facts()) return std::nullopt;
  if (crypto::to_hex(root_of(*columns)) != entry.root) return std::nullopt;
  return std::move(*columns);
}

class Grouping {
 public:
  Grouping(const Selection& selection, ledger::Ledger& ledger, const std::set<int64_t>& moments,
           const OnColumnsRow& on_row)
      : split_(selection.split), ledger_(ledger), moments_(moments), on_row_(on_row) {}

  // False: these columns do not tell everything.
  Result<bool> add(const Columns& columns, const ShardEntry& entry) {
    out_.shards.push_back(entry.digest);
    std::vector<std::vector<Place>> places(columns.classes().size());
    for (size_t row = 0; row < columns.records(); ++row) {
      const int64_t at = columns.class_index(row);
      const int64_t captured_ms = columns.captured_ms(row);
      if (at < 0 || !check_captured(captured_ms, entry, "")) return false;
      const auto& one = columns.classes()[static_cast<size_t>(at)];
      if (!split_.empty() && one.split != split_) continue;
      auto& known = places[static_cast<size_t>(at)];
      auto place = std::find_if(known.begin(), known.end(), [captured_ms](const Place& other) {
        return other.interval.holds(captured_ms);
      });
      if (place == known.end()) {
        RETORT_TRY(const auto added, place_of(one, captured_ms));
        place = known.insert(known.end(), added);
      }
      ++out_.groups[place->group].records;
      if (on_row_) on_row_(entry.digest, static_cast<int64_t>(row), place->group);
    }
    return true;
  }

  SelectionColumns take() { return std::move(out_); }

 private:
  struct Place {
    Interval interval;
    size_t group;
  };

  Result<Place> place_of(const ColumnClass& one, int64_t captured_ms) {
    const Interval interval = interval_of(captured_ms, moments_);
    const std::string key = fmt::format(
        "{} {} {} {} {} {} {}:{} {}", interval.from_ms, one.codes.terms_set, one.codes.door,
        static_cast<int>(one.kind), one.features, static_cast<int>(one.preference),
        one.model_answered.size(), one.model_answered, one.split);
    const auto [found, is_new] = groups_.emplace(key, out_.groups.size());
    if (is_new) {
      ColumnsGroup group;
      RETORT_TRY(group.facts, facts_of(one));
      group.facts.captured_ms = captured_ms;
      out_.groups.push_back(std::move(group));
    }
    return Place{interval, found->second};
  }

  Result<Record> facts_of(const ColumnClass& one) {
    Record out;
    RETORT_TRY(auto logged, logged_door(ledger_, one.codes.door));
    RETORT_TRY(out.terms, logged_references(ledger_, one.codes.terms_set));
    out.door = std::move(logged.door);
    out.model = std::move(logged.model);
    out.kind = one.kind;
    out.model_answered = one.model_answered;
    out.split = one.split;
    out.preference = one.preference;
    out.features = one.features;
    return out;
  }

  const std::string& split_;
  ledger::Ledger& ledger_;
  const std::set<int64_t>& moments_;
  const OnColumnsRow& on_row_;
  std::map<std::string, size_t> groups_;
  SelectionColumns out_;
};

}  // namespace

void SelectionDigest::add(const ShardEntry& entry) {
  hash_.add(entry.digest);
  hash_.add(entry.logprobs);
  // What is left after an erasure is another selection.
  if (!entry.erased.empty()) hash_.add(entry.file);
}

std::string SelectionDigest::finish() {
  hash_.add("split:" + split_);
  return crypto::to_hex(hash_.finish());
}

Result<std::vector<Shard>> list_selected(const Selection& selection) {
  RETORT_TRY(auto shards, list_shards(selection.folder));
  if (selection.shards.empty()) return shards;
  std::set<std::string> names;
  for (const auto& digest : selection.shards) names.insert(digest.substr(0, kNameDigits));
  std::erase_if(shards,
                [&](const Shard& shard) { return !names.contains(shard_name(shard.path())); });
  if (shards.size() == names.size()) return shards;
  return base::bad_input(
      fmt::format("{} of {} shards are missing", names.size() - shards.size(), names.size()),
      selection.folder, kRestore);
}

Result<void> check_captured(int64_t captured_ms, const ShardEntry& entry,
                            const std::string& where) {
  if (captured_ms <= entry.time_ms + kClockSlack_ms) return {};
  return base::bad_input("a record was captured after its shard was sealed", where);
}

Result<std::optional<std::string>> logged_digest(const Selection& selection,
                                                 const ShardIndex& index) {
  RETORT_TRY(const auto shards, list_selected(selection));
  SelectionDigest digest(selection);
  for (const auto& shard : shards) {
    const auto* entry = index.by_name(shard_name(shard.path()));
    if (entry == nullptr) return std::optional<std::string>();
    digest.add(*entry);
  }
  return std::optional(digest.finish());
}

Result<std::optional<SelectionColumns>> read_columns_of(const Selection& selection,
                                                        ledger::Ledger& ledger,
                                                        const ShardIndex& index,
                                                        const std::set<int64_t>& moments,
                                                        const OnColumnsRow& on_row) {
  const std::optional<SelectionColumns> cannot_tell;
  RETORT_TRY(const auto shards, list_selected(selection));
  Grouping grouping(selection, ledger, moments, on_row);
  for (const auto& shard : shards) {
    const auto* entry = index.by_name(shard_name(shard.path()));
    if (entry == nullptr) return cannot_tell;
    const auto columns = sound_columns(shard, *entry);
    if (!columns) return cannot_tell;
    RETORT_TRY(const bool tells, grouping.add(*columns, *entry));
    if (!tells) return cannot_tell;
  }
  return std::optional(grouping.take());
}

}  // namespace retort::corpus
