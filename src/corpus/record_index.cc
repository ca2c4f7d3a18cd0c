#include "corpus/record_index.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "base/files.h"
#include "corpus/index_file_internal.h"

namespace retort::corpus {

struct RecordIndex::Impl {
  std::map<std::string, std::unique_ptr<IndexFile>> files;  // by the shard's digest

  Result<IndexFile*> file(const std::string& shard) const {
    const auto found = files.find(shard);
    if (found != files.end()) return found->second.get();
    return base::not_found("the index of the records has no such shard", shard,
                           "retort ledger index --shards FOLDER adds the shards that lie there");
  }
};

RecordIndex::RecordIndex(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RecordIndex::RecordIndex(RecordIndex&&) noexcept = default;
RecordIndex& RecordIndex::operator=(RecordIndex&&) noexcept = default;
RecordIndex::~RecordIndex() = default;

Result<RecordIndex> RecordIndex::open(const std::string& ledger_folder) {
  const std::string folder = base::join(ledger_folder, kIndexFolder);
  auto impl = std::make_unique<Impl>();
  if (!base::is_directory(folder)) return RecordIndex(std::move(impl));
  RETORT_TRY(const auto names, base::list_directory(folder));
  std::vector<std::unique_ptr<IndexFile>> files;
  for (const auto& name : names) {
    if (!name.ends_with(kIndexSuffix)) continue;
    RETORT_TRY(auto file, IndexFile::open(base::join(folder, name)));
    file->prefetch_head();
    files.push_back(std::move(file));
  }
  for (auto& file : files) {
    RETORT_TRY_VOID(file->load());
    if (file->path() != index_path(ledger_folder, file->shard())) {
      return base::bad_input("a file of the index is of another shard than its name says",
                             file->path(),
                             "take it away; retort ledger index makes both again");
    }
    const std::string shard = file->shard();
    impl->files.emplace(shard, std::move(file));
  }
  return RecordIndex(std::move(impl));
}

bool RecordIndex::has(const std::string& shard) const {
  return impl_->files.contains(shard);
}

Result<int64_t> RecordIndex::records(const std::string& shard) const {
  RETORT_TRY(const auto* file, impl_->file(shard));
  return file->records();
}

Result<int64_t> RecordIndex::terms_set(const std::string& shard) const {
  RETORT_TRY(const auto* file, impl_->file(shard));
  return file->terms_set();
}

// All files first say what they need, so that the disk is asked for everything at once.
Result<std::vector<RecordPlace>> RecordIndex::find(const crypto::Digest& key) const {
  for (const auto& [shard, file] : impl_->files) file->prefetch(key);
  std::vector<RecordPlace> out;
  std::vector<uint32_t> rows;
  for (const auto& [shard, file] : impl_->files) {
    rows.clear();
    RETORT_TRY_VOID(file->find(key, rows));
    for (const uint32_t row : rows) out.push_back({shard, row});
  }
  return out;
}

Result<std::vector<uint32_t>> RecordIndex::children(const std::string& shard,
                                                    const std::string& parent,
                                                    const std::vector<uint32_t>& rows) const {
  RETORT_TRY(auto* file, impl_->file(shard));
  RETORT_TRY(const auto digest, crypto::digest_from_hex(parent));
  return file->children(digest, rows);
}

Result<std::vector<std::string>> RecordIndex::parents(const std::string& shard) const {
  RETORT_TRY(auto* file, impl_->file(shard));
  return file->parents();
}

Result<std::string> RecordIndex::split(const std::string& shard, uint32_t row) const {
  RETORT_TRY(auto* file, impl_->file(shard));
  RETORT_TRY(const auto code, file->split_of(row));
  return file->split_names()[code];
}

Result<int64_t> RecordIndex::count(const std::string& shard, const std::string& split) const {
  RETORT_TRY(auto* file, impl_->file(shard));
  if (split.empty()) return file->records();
  const auto& names = file->split_names();
  const auto found = std::find(names.begin(), names.end(), split);
  if (found == names.end()) return int64_t{0};
  return file->count(static_cast<uint8_t>(found - names.begin()));
}

Result<void> RecordIndex::for_each(
    const std::string& shard,
    const std::function<void(const crypto::Digest& key, uint32_t row)>& visit) const {
  RETORT_TRY(auto* file, impl_->file(shard));
  return file->for_each([&visit](std::string_view item, uint32_t row) {
    crypto::Digest key;
    std::copy_n(item.begin(), key.size(), key.begin());
    visit(key, row);
  });
}

int64_t RecordIndex::size_bytes() const {
  int64_t out = 0;
  for (const auto& [shard, file] : impl_->files) out += file->size_bytes();
  return out;
}

Result<void> RecordIndex::check() const {
  for (const auto& [shard, file] : impl_->files) RETORT_TRY_VOID(file->check());
  return {};
}

struct RecordIndexWriter::Impl {
  IndexContentBuilder builder;
};

RecordIndexWriter::RecordIndexWriter(std::string where)
    : impl_(new Impl{IndexContentBuilder(std::move(where))}) {}
RecordIndexWriter::~RecordIndexWriter() = default;

Result<void> RecordIndexWriter::add(std::string_view key, std::string_view split,
                                    std::span<const ParentLink> parents) {
  return impl_->builder.add(key, split, parents);
}

Result<int64_t> RecordIndexWriter::finish(const std::string& ledger_folder,
                                          const std::string& shard, int64_t terms_set) {
  return write_index_file(index_path(ledger_folder, shard), impl_->builder.take(shard, terms_set));
}

}  // namespace retort::corpus
