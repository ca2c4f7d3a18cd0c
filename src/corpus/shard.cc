// Finding and reading sealed shards. What comes out of read_shard is what was sealed, to the byte.
#include "corpus/shard.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/files.h"
#include "base/parallel.h"
#include "corpus/shard_internal.h"
#include "corpus/zstd_internal.h"

namespace retort::corpus {
namespace {

constexpr const char* kRestore = "put the file back from a backup, or gather and seal it again";

class Reading {
 public:
  Reading(std::string path, std::string columns, const ShardEntry& entry, CodeBook& codes)
      : path_(std::move(path)),
        columns_(std::move(columns)),
        erased_(entry.erased),
        codes_(codes) {}

  // Every record against its column; stops at the first that does not fit.
  Result<void> run(std::string_view bytes) {
    ZstdLines lines(bytes, path_);
    while (true) {
      auto block = lines.next();
      if (!block) {
        return base::bad_input(
            fmt::format("{}, after record {}", block.error().message, records_.size()), path_,
            kRestore);
      }
      if (block->empty()) return {};
      RETORT_TRY_VOID(take(*block));
    }
  }

  std::vector<Record> records_;
  std::vector<crypto::Digest> leaves_;

 private:
  std::string where(size_t row) const { return fmt::format("{}: record {}", path_, row); }

  Result<void> take(const std::vector<std::string_view>& lines) {
    const size_t first = records_.size();
    const auto n = static_cast<int64_t>(lines.size());
    records_.resize(first + lines.size());
    leaves_.resize(first + lines.size());
    std::vector<std::optional<Error>> errors(lines.size());
    base::parallel_for(n, 16, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        auto read = read_line(lines[i], first + i);
        if (read) {
          records_[first + i] = std::move(*read);
        } else {
          errors[i] = read.error();
        }
      }
    });
    // The log is asked by one thread.
    std::vector<LeafCodes> codes(lines.size());
    for (size_t i = 0; i < lines.size(); ++i) {
      if (errors[i]) return *errors[i];
      if (is_erased(first + i)) continue;
      auto found = codes_.find(records_[first + i]);
      if (!found && found.error().code != ErrorCode::not_found) return found.error();
      if (!found) return not_as_sealed(first + i, "names terms or a door that the log has not");
      codes[i] = *found;
    }
    base::parallel_for(n, 16, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        if (!is_erased(first + i)) leaves_[first + i] = leaf_of(records_[first + i], codes[i]);
      }
    });
    RETORT_TRY_VOID(take_erased(first, first + lines.size()));
    return compare(first);
  }

  bool is_erased(size_t row) const { return erased_.contains(static_cast<int64_t>(row)); }

  // Of these the log and the columns have the leaf, and nobody the content.
  Result<void> take_erased(size_t first, size_t end) {
    const auto last = erased_.lower_bound(static_cast<int64_t>(end));
    for (auto one = erased_.lower_bound(static_cast<int64_t>(first)); one != last; ++one) {
      RETORT_TRY(leaves_[static_cast<size_t>(one->first)],
                 crypto::digest_from_hex(one->second.leaf));
    }
    return {};
  }

  Result<Record> read_line(std::string_view line, size_t row) const {
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
    if (!stands_for_erased) return record_from_json(value, where(row));
    Record placeholder;
    placeholder.key = erased_.at(static_cast<int64_t>(row)).key;
    return placeholder;
  }

  Error not_as_sealed(size_t row, const char* why) const {
    return base::bad_input(
        fmt::format("record {} ({}) {}", row, records_[row].key.substr(0, kNameDigits), why),
        where(row), kRestore);
  }

  Result<void> compare(size_t first) const {
    for (size_t row = first; row < records_.size(); ++row) {
      const auto sealed = std::string_view(columns_).substr(
          std::min(columns_.size(), row * kColumnBytes), kColumnBytes);
      const std::string now = columns_of({&records_[row], 1}, {&leaves_[row], 1});
      const size_t bytes = is_erased(row) ? sizeof(crypto::Digest) : kColumnBytes;
      if (sealed.substr(0, bytes) != std::string_view(now).substr(0, bytes)) {
        return not_as_sealed(row, "is not the one that was sealed there");
      }
    }
    return {};
  }

  std::string path_, columns_;
  const std::map<int64_t, ErasedRow>& erased_;
  CodeBook& codes_;
};

Error changed(const std::string& path, const std::string& what) {
  return base::bad_input(fmt::format("{} after it was sealed", what), path, kRestore);
}

Result<std::string> read_columns(const std::string& path, const ShardEntry& entry) {
  if (!base::exists(path))
    return base::bad_input("the shard's columns are missing", path, kRestore);
  RETORT_TRY(auto columns, base::read_file(path));
  if (crypto::sha256_hex(columns) != entry.columns) {
    return changed(path, "the shard's columns were changed");
  }
  return columns;
}

// Those of each record, where the shard has any.
Result<std::vector<KeptLogprobs>> read_logprobs(const std::string& path, const ShardEntry& entry,
                                                const std::vector<Record>& records) {
  if (entry.logprobs.empty()) {
    if (!base::exists(path)) return std::vector<KeptLogprobs>(records.size());
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
  return match_logprobs(file, records, path);
}

// The bytes are not those that were sealed; says which record is the first bad one.
Error name_damage(const std::string& path, std::string_view bytes, const ShardEntry& entry,
                  const std::string& columns, CodeBook& codes) {
  Reading reading(path, columns, entry, codes);
  if (const auto read = reading.run(bytes); !read) return read.error();
  const auto found = static_cast<int64_t>(reading.records_.size());
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
                                                 const std::vector<Record>& records,
                                                 const std::string& path) {
  std::vector<KeptLogprobs> out(records.size());
  if (file->records() != std::ssize(records)) {
    return base::bad_input(fmt::format("the log-probabilities are of {} records, the shard has {}",
                                       file->records(), records.size()),
                           path, kRestore);
  }
  for (size_t row = 0; row < records.size(); ++row) {
    const auto at = static_cast<int64_t>(row);
    if (!file->is_of(at, records[row].key) || file->tokens_of(at) != records[row].logprob_tokens) {
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

Result<ReadShard> read_shard(const Shard& shard, const ShardIndex& index, CodeBook& codes) {
  const std::string& path = shard.path();
  RETORT_TRY(const auto file, base::MappedFile::open(path));
  const std::string digest = crypto::sha256_hex(file.view());
  RETORT_TRY(const auto* entry, entry_of(path, digest, index));
  RETORT_TRY(const auto columns, read_columns(columns_path(path), *entry));
  if (entry->file != digest && !entry->erased.empty()) {
    return base::bad_input("records of this shard were erased, and this is not what was left of it",
                           path,
                           "retort ledger erase with one of these records ends an erasure that was "
                           "interrupted, and brings a copy up to it");
  }
  if (entry->file != digest) return name_damage(path, file.view(), *entry, columns, codes);

  Reading reading(path, columns, *entry, codes);
  RETORT_TRY_VOID(reading.run(file.view()));
  const auto found = static_cast<int64_t>(reading.records_.size());
  if (found != entry->records) {
    return changed(path, fmt::format("the shard has {} records where the log knows {}: it changed",
                                     found, entry->records));
  }
  if (crypto::to_hex(ledger::tree_root(reading.leaves_)) != entry->root) {
    return changed(path, "the shard's records do not lead to the root in the log: they changed");
  }
  RETORT_TRY(auto logprobs, read_logprobs(logprobs_path(path), *entry, reading.records_));
  return ReadShard{*entry, std::move(reading.records_), std::move(reading.leaves_),
                   std::move(logprobs)};
}

Result<void> verify(const Shard& shard, ledger::Ledger& ledger) {
  RETORT_TRY_VOID(ledger.verify());
  RETORT_TRY(const auto index, ShardIndex::load(ledger));
  CodeBook codes(ledger);
  RETORT_TRY_VOID(read_shard(shard, index, codes));
  return {};
}

}  // namespace retort::corpus
