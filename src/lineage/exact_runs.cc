#include "lineage/exact_runs.h"

#include <algorithm>

#include "lineage/manifest.h"
#include "lineage/read_internal.h"

namespace retort::lineage {
namespace {

constexpr size_t kMostRuns = 4096;

// Shards of which any record may have been made from the one that was found, though none was found
// in them: they were not read, or come of one that was not, or lost records since.
class Unsure {
 public:
  explicit Unsure(const FoundRecord& found) : found_(found) {}

  Result<void> read(ledger::Ledger& log) {
    RETORT_TRY_VOID(log.for_each("erasure", [&](const ledger::Entry& entry) -> Result<void> {
      erased_.insert(entry.name.substr(entry.name.find('@') + 1));
      return {};
    }));
    // A shard is logged after those that it was made from.
    return log.for_each("shard", [&](const ledger::Entry& entry) { return add(entry); });
  }

  bool has(int64_t shard) const { return unsure_.contains(shard); }
  const std::string& digest(int64_t shard) const { return digests_.at(shard); }
  bool knows(int64_t shard) const { return digests_.contains(shard); }

 private:
  Result<void> add(const ledger::Entry& entry) {
    digests_[entry.index] = entry.name;
    RETORT_TRY(const bool from_unsure, comes_from(entry, unsure_));
    RETORT_TRY(const bool from_found, comes_from(entry, holding_));
    const bool seen = found_.read.contains(entry.name) && !erased_.contains(entry.name);
    if (from_unsure || (from_found && !seen)) unsure_.insert(entry.index);
    if (found_.splits.contains(entry.name)) holding_.insert(entry.index);
    return {};
  }

  static Result<bool> comes_from(const ledger::Entry& entry, const std::set<int64_t>& shards) {
    if (shards.empty()) return false;
    if (entry.body.find("parents") == nullptr) {
      const auto source = entry.body.string_at("source", "").value_or("");
      return source != "collect" && source != "import";  // and of any before it
    }
    RETORT_TRY(const auto parents, integers_at(entry.body, "parents"));
    return std::ranges::any_of(parents, [&](int64_t one) { return shards.contains(one); });
  }

  const FoundRecord& found_;
  std::map<int64_t, std::string> digests_;
  std::set<std::string> erased_;
  std::set<int64_t> unsure_, holding_;
};

bool learnt(const RunManifest& run, const FoundRecord& found, const Unsure& unsure) {
  return std::ranges::any_of(run.shards, [&](int64_t shard) {
    if (unsure.has(shard) || !unsure.knows(shard)) return true;
    const auto rows = found.splits.find(unsure.digest(shard));
    if (rows == found.splits.end()) return false;
    return run.split.empty() || rows->second.contains(run.split) || rows->second.contains("");
  });
}

}  // namespace

FoundRecord found_record(const std::vector<corpus::PlacedRecord>& rows,
                         std::set<std::string> read) {
  FoundRecord out;
  out.read = std::move(read);
  for (const auto& one : rows) out.splits[one.file.digest].insert(one.split);
  return out;
}

Result<std::optional<std::vector<int64_t>>> runs_that_learnt(ledger::Ledger& log,
                                                             const FoundRecord& found) {
  Unsure unsure(found);
  RETORT_TRY_VOID(unsure.read(log));
  RETORT_TRY(const auto runs, all_runs(log));
  std::vector<int64_t> out;
  for (const auto& run : runs) {
    if (learnt(run, found, unsure)) out.push_back(run.entry);
  }
  if (out.size() > kMostRuns) return std::optional<std::vector<int64_t>>();
  return std::optional(std::move(out));
}

}  // namespace retort::lineage
