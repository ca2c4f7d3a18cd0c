#include "corpus/sealed_files.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "corpus/sealed_files_internal.h"

namespace retort::corpus {
namespace {

namespace fs = std::filesystem;

constexpr size_t kShortestPrefix = 8;

Result<void> add_files(const std::string& folder, std::vector<std::string>& paths) {
  std::error_code code;
  for (fs::recursive_directory_iterator it(folder, code), end; !code && it != end;
       it.increment(code)) {
    const std::string path = it->path().string();
    if (it->is_directory(code) && path.ends_with(".writing")) it.disable_recursion_pending();
    if (path.ends_with(kShardSuffix) && it->is_regular_file(code)) paths.push_back(path);
  }
  if (!code) return {};
  errno = code.value();
  return base::errno_error("list", folder);
}

bool is_asked_for(const std::string& asked, const SealedFile& file, int64_t row,
                  const std::string& key) {
  const size_t colon = asked.find(':');
  if (colon == std::string::npos) return key.starts_with(asked);
  return file.digest.starts_with(asked.substr(0, colon)) &&
         asked.substr(colon + 1) == std::to_string(row);
}

Result<void> check_asked(const std::string& asked) {
  if (std::min(asked.find(':'), asked.size()) >= kShortestPrefix) return {};
  return base::usage_error("too few digits to name a record", asked,
                           "give its key, or SHARD:ROW, with eight digits or more");
}

}  // namespace

std::string PlacedRecord::place() const {
  return fmt::format("{}:{}", file.digest, row);
}

Result<std::vector<SealedFile>> find_sealed(const ShardIndex& index,
                                            const std::vector<std::string>& folders) {
  std::vector<std::string> paths;
  for (const auto& folder : folders) RETORT_TRY_VOID(add_files(folder, paths));
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  std::vector<SealedFile> out;
  for (const auto& path : paths) {
    const auto* entry = index.by_name(shard_name(path));
    if (entry != nullptr) out.push_back({path, entry->digest, entry->leaf});
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const SealedFile& a, const SealedFile& b) { return a.entry < b.entry; });
  return out;
}

// Parents are logged before their children, so one pass in the log's order finds all of them.
Result<std::vector<PlacedRecord>> find_record(ledger::Ledger& ledger,
                                              const std::vector<std::string>& folders,
                                              const std::string& record,
                                              std::set<std::string>* read_shards) {
  RETORT_TRY_VOID(check_asked(record));
  RETORT_TRY(const auto index, ShardIndex::load(ledger));
  RETORT_TRY(const auto files, find_sealed(index, folders));
  CodeBook codes(ledger);
  std::vector<PlacedRecord> out;
  std::set<std::string> places, keys;
  for (const auto& file : files) {
    RETORT_TRY(const auto shard, Shard::open(file.path));
    RETORT_TRY(const auto read, read_shard(shard, index, codes));
    if (read_shards != nullptr) read_shards->insert(file.digest);
    for (size_t i = 0; i < read.records.size(); ++i) {
      const auto row = static_cast<int64_t>(i);
      const auto& one = read.records[i];
      const bool asked = is_asked_for(record, file, row, one.key);
      const bool derived =
          std::any_of(one.parents.begin(), one.parents.end(), [&](const ParentLink& parent) {
            return places.contains(fmt::format("{}:{}", parent.shard, parent.row));
          });
      if (!asked && !derived) continue;
      if (asked) keys.insert(one.key);
      out.push_back({file, row, one.key, one.split, !asked});
      places.insert(out.back().place());
    }
  }
  if (out.empty()) {
    return base::not_found("no sealed record has this key", record,
                           "name the folders of its shards with --shards");
  }
  if (keys.size() > 1) {
    return base::usage_error(fmt::format("the keys of {} records begin so", keys.size()), record,
                             "give more of its digits");
  }
  return out;
}

}  // namespace retort::corpus
