// Finding and reading sealed shards. What comes out of read_shard is what was sealed, to the byte.
#include "corpus/shard.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/files.h"
#include "corpus/columns_internal.h"
#include "corpus/shard_internal.h"
#include "corpus/shard_reading_internal.h"
#include "corpus/zstd_internal.h"

namespace retort::corpus {
namespace {

Error changed(const std::string& path, const std::string& what) {
  return base::bad_input(fmt::format("{} after it was sealed", what), path, kRestore);
}

// Those of each record, where the shard has any.
Result<std::vector<KeptLogprobs>> read_logprobs(const std::string& path, const ShardEntry& entry,
                                                const std::vector<CheckedRow>& rows) {
  if (entry.logprobs.empty()) {
    if (!base::exists(path)) return std::vector<KeptLogprobs>(rows.size());
    return base::bad_input(
        "the shard was sealed without log-probabilities, and these lie beside it", path,
        "take the file away");
  }
  if (!base::exists(path)) {
    return base::bad_input("the shard's log-probabilities are missing", path, kRestore);
  }
  RETORT_TRY(auto bytes, base::read_file(path));
  if (crypto::sha256_hex(bytes) != entry.logprobs) {
    return changed(path, "the shard's log-probabilities were changed");
  }
  RETORT_TRY(const auto file, LogprobFile::parse(std::move(bytes), path));
  return match_logprobs(file, rows, path);
}

// The bytes are not those that were sealed; says which record is the first bad one.
Error name_damage(const std::string& path, std::string_view bytes, const ShardEntry& entry,
                  const Columns& columns, CodeBook& codes) {
  ShardReading reading(path, columns, entry, codes);
  if (const auto read = reading.run(bytes); !read) return read.error();
  const auto found = std::ssize(reading.rows());
  if (found < entry.records) {
    return changed(path, fmt::format("{} of the shard's {} records were taken away",
                                     entry.records - found, entry.records));
  }
  return changed(path, "the shard's bytes were changed");
}

Result<const ShardEntry*> entry_of(const std::string& path, const std::string& digest,
                                   const ShardIndex& index) {
  const auto* entry = index.by_name(shard_name(path));
  if (entry != nullptr) return entry;
  if (index.by_digest(digest) != nullptr) {
    return base::bad_input("the shard does not have the name that it was sealed under", path,
                           "call it " + digest.substr(0, kNameDigits) + kShardSuffix);
  }
  return base::bad_input("the shard is not in the log", path,
                         "only what was gathered or imported, and sealed here, can be used");
}

}  // namespace

Result<std::vector<KeptLogprobs>> match_logprobs(const std::shared_ptr<const LogprobFile>& file,
                                                 const std::vector<CheckedRow>& rows,
                                                 const std::string& path) {
  std::vector<KeptLogprobs> out(rows.size());
  if (file->records() != std::ssize(rows)) {
    return base::bad_input(fmt::format("the log-probabilities are of {} records, the shard has {}",
                                       file->records(), rows.size()),
                           path, kRestore);
  }
  for (size_t row = 0; row < rows.size(); ++row) {
    const auto at = static_cast<int64_t>(row);
    const auto& one = rows[row];
    if (!file->is_of(at, crypto::to_hex(one.key)) || file->tokens_of(at) != one.logprob_tokens) {
      return base::bad_input(
          fmt::format("the log-probabilities of record {} belong to another", row), path, kRestore);
    }
    out[row] = KeptLogprobs(file, at);
  }
  return out;
}

std::string shard_name(const std::string& path) {
  std::string name = base::base_name(path);
  const std::string_view suffix(kShardSuffix);
  if (name.ends_with(suffix)) name.resize(name.size() - suffix.size());
  return name;
}

std::string columns_path(const std::string& shard_path) {
  return base::join(base::parent(shard_path), shard_name(shard_path) + kColumnsSuffix);
}

std::string logprobs_path(const std::string& shard_path) {
  return base::join(base::parent(shard_path), shard_name(shard_path) + kLogprobsSuffix);
}

Result<Shard> Shard::open(const std::string& path) {
  if (!path.ends_with(kShardSuffix)) {
    return base::bad_input(fmt::format("a shard's name ends in {}", kShardSuffix), path);
  }
  if (!base::exists(path)) return base::not_found("there is no such shard", path);
  RETORT_TRY(const auto size_bytes, base::file_size(path));
  return Shard(path, size_bytes);
}

Result<std::vector<Shard>> list_shards(const std::string& folder) {
  std::vector<Shard> shards;
  if (base::is_directory(folder)) {
    RETORT_TRY(const auto names, base::list_directory(folder));
    for (const auto& name : names) {
      if (!name.ends_with(kShardSuffix)) continue;
      RETORT_TRY(auto shard, Shard::open(base::join(folder, name)));
      shards.push_back(std::move(shard));
    }
  }
  if (shards.empty()) {
    return base::not_found("there are no sealed records", folder,
                           "gather some with retort collect, or import your own");
  }
  return shards;
}

Result<Columns> read_columns(const std::string& path, const ShardEntry& entry) {
  if (!base::exists(path))
    return base::bad_input("the shard's columns are missing", path, kRestore);
  RETORT_TRY(auto columns, base::read_file(path));
  if (crypto::sha256_hex(columns) != entry.columns) {
    return changed(path, "the shard's columns were changed");
  }
  return Columns::parse(std::move(columns), entry.records, path);
}

namespace {

struct CheckedShard {
  ShardEntry entry;
  ShardReading reading;
  std::vector<KeptLogprobs> logprobs;
};

Result<CheckedShard> check_shard(const Shard& shard, const ShardIndex& index, CodeBook& codes,
                                 ShardReading::Keep keep) {
  const std::string& path = shard.path();
  RETORT_TRY(const auto file, base::MappedFile::open(path));
  const std::string digest = crypto::sha256_hex(file.view());
  RETORT_TRY(const auto* entry, entry_of(path, digest, index));
  RETORT_TRY(auto columns, read_columns(columns_path(path), *entry));
  if (entry->file != digest && !entry->erased.empty()) {
    return base::bad_input("records of this shard were erased, and this is not what was left of it",
                           path,
                           "retort ledger erase with one of these records ends an erasure that was "
                           "interrupted, and brings a copy up to it");
  }
  if (entry->file != digest) return name_damage(path, file.view(), *entry, columns, codes);

  ShardReading reading(path, std::move(columns), *entry, codes, keep);
  RETORT_TRY_VOID(reading.run(file.view()));
  const auto found = std::ssize(reading.rows());
  if (found != entry->records) {
    return changed(path, fmt::format("the shard has {} records where the log knows {}: it changed",
                                     found, entry->records));
  }
  if (crypto::to_hex(ledger::tree_root(reading.leaves())) != entry->root) {
    return changed(path, "the shard's records do not lead to the root in the log: they changed");
  }
  RETORT_TRY(auto logprobs, read_logprobs(logprobs_path(path), *entry, reading.rows()));
  return CheckedShard{*entry, std::move(reading), std::move(logprobs)};
}

}  // namespace

Result<ReadShard> read_shard(const Shard& shard, const ShardIndex& index, CodeBook& codes) {
  RETORT_TRY(auto checked, check_shard(shard, index, codes, ShardReading::Keep::records));
  return ReadShard{std::move(checked.entry), checked.reading.take_records(),
                   checked.reading.take_leaves(), std::move(checked.logprobs)};
}

Result<void> verify(const Shard& shard, ledger::Ledger& ledger) {
  RETORT_TRY_VOID(ledger.verify());
  RETORT_TRY(const auto index, ShardIndex::load(ledger));
  CodeBook codes(ledger);
  RETORT_TRY_VOID(check_shard(shard, index, codes, ShardReading::Keep::rows));
  return {};
}

}  // namespace retort::corpus
