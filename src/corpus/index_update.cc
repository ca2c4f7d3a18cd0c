// Making files of the index of records from the shards.
#include <fmt/core.h>

#include <map>
#include <optional>

#include "base/files.h"
#include "base/parallel.h"
#include "corpus/index_file_internal.h"
#include "corpus/key_filter_internal.h"
#include "corpus/record_index.h"
#include "corpus/sealed_files_internal.h"
#include "corpus/zstd_internal.h"

namespace retort::corpus {
namespace {

// What the index wants of a line. The rest was checked when the shard was sealed, and the shard's
// digest vouches for that: these are the bytes that were sealed.
Result<void> add_line(IndexContentBuilder& builder, std::string_view line) {
  RETORT_TRY(const auto value, json::parse(line));
  const auto* meta = value.find("retort");
  if (meta == nullptr) return base::bad_input("a record has no part “retort”");
  RETORT_TRY(const auto key, meta->string_at("key"));
  RETORT_TRY(const auto split, meta->string_at("split", ""));
  std::vector<ParentLink> links;
  if (const auto* parents = meta->find("parents"); parents != nullptr && parents->is_array()) {
    for (const auto& item : parents->as_array()) {
      ParentLink& link = links.emplace_back();
      RETORT_TRY(link.shard, item.string_at("shard"));
      RETORT_TRY(link.row, item.int_at("row"));
    }
  }
  return builder.add(key, split, links);
}

bool is_sound(const std::string& path, const ShardEntry& entry) {
  if (!base::exists(path)) return false;
  auto file = IndexFile::open(path);
  return file && (*file)->check() && (*file)->shard() == entry.digest &&
         (*file)->records() == entry.records;
}

Result<void> index_shard(const std::string& shard_path, const std::string& path,
                         const ShardEntry& entry) {
  RETORT_TRY(const auto mapped, base::MappedFile::open(shard_path));
  if (crypto::sha256_hex(mapped.view()) != entry.file) {
    return base::bad_input("the shard's bytes are not those that the log knows", shard_path,
                           "put the file back from a backup");
  }
  IndexContentBuilder builder(shard_path);
  ZstdLines lines(mapped.view(), shard_path);
  int64_t row = 0;
  while (true) {
    RETORT_TRY(const auto block, lines.next());
    if (block.empty()) break;
    for (const auto line : block) {
      const auto added = add_line(builder, line);
      if (!added) return added.error().at(fmt::format("{}: record {}", shard_path, row));
      ++row;
    }
  }
  if (row != entry.records) {
    return base::bad_input(
        fmt::format("the shard has {} records where the log knows {}", row, entry.records),
        shard_path);
  }
  RETORT_TRY_VOID(write_index_file(path, builder.take(entry.digest, entry.terms_set)));
  return {};
}

struct Missing {
  std::string shard_path, path;
  const ShardEntry* entry;
};

// Threads take shards of their own.
Result<void> index_all(const std::vector<Missing>& missing) {
  std::vector<std::optional<Error>> errors(missing.size());
  base::parallel_for(std::ssize(missing), 1, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      const auto done = index_shard(missing[i].shard_path, missing[i].path, *missing[i].entry);
      if (!done) errors[i] = done.error();
    }
  });
  for (const auto& error : errors) {
    if (error) return *error;
  }
  return {};
}

}  // namespace

Result<IndexReport> update_index(ledger::Ledger& ledger, const std::vector<std::string>& folders) {
  RETORT_TRY(const auto shards, ShardIndex::load(ledger));
  RETORT_TRY(const auto files, find_sealed(shards, folders));
  std::map<std::string, std::string> paths;  // by digest, the first of several copies
  for (const auto& file : files) paths.emplace(file.digest, file.path);
  IndexReport report;
  std::vector<Missing> missing;
  for (const auto& [name, entry] : shards.all()) {
    const std::string path = index_path(ledger.folder(), entry.digest);
    const auto found = paths.find(entry.digest);
    if (is_sound(path, entry)) {
      ++report.present;
    } else if (found == paths.end()) {
      report.missing.push_back(entry.digest);
    } else {
      missing.push_back({found->second, path, &entry});
    }
  }
  RETORT_TRY_VOID(index_all(missing));
  report.written = std::ssize(missing);
  RETORT_TRY_VOID(remove_damaged_filters(ledger.folder()));
  RETORT_TRY_VOID(update_filters(ledger.folder()));
  return report;
}

}  // namespace retort::corpus
