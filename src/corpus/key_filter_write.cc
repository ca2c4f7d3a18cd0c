// Making filters from the files of the index.
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/log.h"
#include "corpus/filter_layout_internal.h"
#include "corpus/index_file_internal.h"
#include "corpus/index_layout_internal.h"
#include "corpus/key_filter_internal.h"

namespace retort::corpus {
namespace {

constexpr const char* kLock = "filters.lock";

std::string name_of(const std::string& shard) {
  return base::base_name(index_path("", shard));
}

std::string digests_of(const std::vector<std::string>& shards) {
  std::string out;
  for (const auto& shard : shards) out += *crypto::from_hex(shard);
  return out;
}

std::string identity_of(const std::vector<std::string>& shards) {
  return std::string(crypto::as_bytes(crypto::sha256(digests_of(shards))));
}

int bucket_bits_for(int64_t keys, int64_t shards) {
  int bits = 0;
  while (bits < kMostBucketBits && keys >> (bits + 1) >= kKeysPerShardAndBucket * shards) ++bits;
  return bits;
}

// The keys of one file in their order, as far as a filter looks at them.
class Prints {
 public:
  static Result<Prints> read(IndexFile& file) {
    Prints out;
    out.prefixes_.reserve(static_cast<size_t>(file.records()));
    RETORT_TRY_VOID(file.for_each([&](std::string_view item, uint32_t) {
      uint64_t prefix = 0;
      for (size_t i = 0; i < 8; ++i) prefix = prefix << 8 | static_cast<unsigned char>(item[i]);
      out.prefixes_.push_back(prefix);
    }));
    return out;
  }
  // Those of the next bucket: a bit for each, with the end's bit behind them; their prints.
  void take(uint64_t bucket, int bucket_bits, BitWriter& counts, std::vector<uint64_t>& prints) {
    for (; at_ < prefixes_.size() && top_bits(prefixes_[at_], bucket_bits) == bucket; ++at_) {
      counts.add_bit(true);
      prints.push_back(top_bits(prefixes_[at_] << bucket_bits, kPrintBits));
    }
    counts.add_bit(false);
  }

 private:
  std::vector<uint64_t> prefixes_;
  size_t at_ = 0;
};

// Parts in blocks with their checks, as the files of the index have them.
class FilterBlocks {
 public:
  explicit FilterBlocks(std::string identity) : identity_(std::move(identity)) {}
  void add_part(std::string_view items, int64_t width) {
    const auto whole = static_cast<size_t>(items_per_block(width) * width);
    for (size_t at = 0; at < items.size(); at += whole) {
      std::string content(items.substr(at, whole));
      content.resize(kIndexContent);
      out_ += content;
      out_ += block_check(identity_, number_++, content);
    }
  }
  std::string take() { return std::move(out_); }

 private:
  std::string identity_, out_;
  int64_t number_ = 0;
};

struct Buckets {
  std::string offsets, data;
};
Result<Buckets> fill_buckets(const std::vector<IndexFile*>& files, int bucket_bits) {
  std::vector<Prints> prints;
  for (IndexFile* file : files) {
    RETORT_TRY(auto one, Prints::read(*file));
    prints.push_back(std::move(one));
  }
  Buckets out;
  BitWriter bits;
  std::vector<uint64_t> of_bucket;
  for (uint64_t bucket = 0; bucket >> bucket_bits == 0; ++bucket) {
    put(out.offsets, bits.bytes().size(), kOffsetBytes);
    of_bucket.clear();
    for (Prints& one : prints) one.take(bucket, bucket_bits, bits, of_bucket);
    for (const uint64_t print : of_bucket) bits.add(print, kPrintBits);
    bits.align();
  }
  put(out.offsets, bits.bytes().size(), kOffsetBytes);
  out.data = bits.bytes();
  return out;
}

// What lies in the folder of the index.
struct Present {
  std::string folder;
  std::vector<std::unique_ptr<KeyFilter>> filters;
  std::vector<std::string> records;  // names of files without a filter
};

// Damaged filters go, and those whose shards all stand in a larger one.
Result<Present> look(const std::string& folder) {
  Present out{.folder = folder, .filters = {}, .records = {}};
  RETORT_TRY(const auto names, base::list_directory(folder));
  std::vector<std::unique_ptr<KeyFilter>> all;
  for (const auto& name : names) {
    if (!name.ends_with(kFilterSuffix)) continue;
    const std::string path = base::join(folder, name);
    auto filter = KeyFilter::open(path);
    if (filter) {
      all.push_back(std::move(*filter));
    } else {
      base::log_warning("{}; it is made again", filter.error().text());
      RETORT_TRY_VOID(base::remove_all(path));
    }
  }
  std::ranges::sort(
      all, [](const auto& a, const auto& b) { return a->shards().size() > b->shards().size(); });
  std::set<std::string> covered;
  for (auto& filter : all) {
    const auto& its = filter->shards();
    if (std::ranges::all_of(its, [&](const auto& one) { return covered.contains(one); })) {
      RETORT_TRY_VOID(base::remove_all(filter->path()));
      continue;
    }
    covered.insert(its.begin(), its.end());
    out.filters.push_back(std::move(filter));
  }
  std::set<std::string> with_filter;
  for (const auto& shard : covered) {
    with_filter.insert(name_of(shard));
  }
  for (const auto& name : names) {
    if (name.ends_with(kIndexSuffix) && !with_filter.contains(name)) out.records.push_back(name);
  }
  return out;
}

// A filter over these files; those that cannot be read have none and are asked themselves.
Result<void> write_filter(const std::string& folder, const std::vector<std::string>& names) {
  std::vector<std::unique_ptr<IndexFile>> files;
  for (const auto& name : names) {
    auto file = IndexFile::open(base::join(folder, name));
    if (file && (*file)->load()) files.push_back(std::move(*file));
  }
  std::ranges::sort(files, {}, [](const auto& file) { return file->shard(); });
  std::vector<IndexFile*> sorted;
  std::vector<std::string> shards;
  for (const auto& file : files) {
    sorted.push_back(file.get());
    shards.push_back(file->shard());
  }
  if (sorted.empty()) return {};
  RETORT_TRY(const auto bytes, filter_bytes(sorted));
  return base::write_file_atomic(filter_path(folder, shards), bytes);
}

// Sixteen small filters become one, which is read before they go.
Result<void> merge_small(const Present& present) {
  std::vector<const KeyFilter*> small;
  for (const auto& filter : present.filters) {
    if (filter->shards().size() <= kFilterStep) small.push_back(filter.get());
  }
  for (; small.size() >= kFilterStep; small.resize(small.size() - kFilterStep)) {
    std::vector<std::string> names;
    for (size_t i = small.size() - kFilterStep; i < small.size(); ++i) {
      for (const auto& shard : small[i]->shards()) names.push_back(name_of(shard));
    }
    RETORT_TRY_VOID(write_filter(present.folder, names));
  }
  return {};
}

}  // namespace

std::string filter_path(const std::string& index_folder, const std::vector<std::string>& shards) {
  const std::string identity = crypto::to_hex(identity_of(shards));
  return base::join(index_folder, identity.substr(0, 16) + kFilterSuffix);
}

Result<std::string> filter_bytes(const std::vector<IndexFile*>& files) {
  std::vector<std::string> shards;
  int64_t keys = 0;
  for (const IndexFile* file : files) {
    shards.push_back(file->shard());
    keys += file->records();
  }
  const int bits = bucket_bits_for(keys, std::ssize(files));
  RETORT_TRY(const auto buckets, fill_buckets(files, bits));
  const std::string identity = identity_of(shards);
  std::string head(kFilterMagic);
  put(head, kFilterVersion, 4);
  put(head, shards.size(), 4);
  head += identity;
  put(head, static_cast<uint64_t>(bits), 1);
  put(head, kPrintBits, 1);
  put(head, 0, 6);
  put(head, buckets.data.size(), 8);
  FilterBlocks blocks(identity);
  blocks.add_part(head, kIndexContent);
  blocks.add_part(digests_of(shards), kDigestBytes);
  blocks.add_part(buckets.offsets, kOffsetBytes);
  blocks.add_part(buckets.data, 1);
  return blocks.take();
}

Result<void> update_filters(const std::string& ledger_folder) {
  const std::string folder = base::join(ledger_folder, kIndexFolder);
  if (!base::is_directory(folder)) return {};
  const auto lock = base::FileLock::acquire(base::join(folder, kLock));
  if (!lock) return {};  // another process is at it
  RETORT_TRY(auto present, look(folder));
  for (size_t size = kFilterStep * kFilterStep; size >= kFilterStep; size /= kFilterStep) {
    while (present.records.size() >= size) {
      const auto from = present.records.end() - static_cast<std::ptrdiff_t>(size);
      RETORT_TRY_VOID(write_filter(folder, {from, present.records.end()}));
      present.records.erase(from, present.records.end());
    }
  }
  RETORT_TRY(present, look(folder));
  RETORT_TRY_VOID(merge_small(present));
  RETORT_TRY_VOID(look(folder));
  return {};
}

Result<void> remove_damaged_filters(const std::string& ledger_folder) {
  const std::string folder = base::join(ledger_folder, kIndexFolder);
  if (!base::is_directory(folder)) return {};
  RETORT_TRY(const auto names, base::list_directory(folder));
  for (const auto& name : names) {
    if (!name.ends_with(kFilterSuffix)) continue;
    const std::string path = base::join(folder, name);
    const auto filter = KeyFilter::open(path);
    if (!filter || !(*filter)->check()) RETORT_TRY_VOID(base::remove_all(path));
  }
  return {};
}

}  // namespace retort::corpus
