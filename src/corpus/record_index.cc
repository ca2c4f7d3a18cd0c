#include "corpus/record_index.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "base/files.h"
#include "base/log.h"
#include "corpus/index_file_internal.h"
#include "corpus/key_filter_internal.h"
#include "corpus/shard_internal.h"

namespace retort::corpus {

namespace {

// "0123456789abcdef", the name of a shard's file and what stands before its suffix.
std::string short_name(const std::string& shard) {
  return shard.substr(0, kNameDigits);
}

}  // namespace

// Files are opened when they are first asked, filters at once.
struct RecordIndex::Impl {
  std::string ledger_folder;
  mutable std::map<std::string, std::unique_ptr<IndexFile>> files;  // by short_name(); may be null
  std::vector<std::unique_ptr<KeyFilter>> filters;
  std::vector<std::string> without_filter;  // short names

  Result<IndexFile*> opened(const std::string& name) const {
    const auto found = files.find(name);
    if (found == files.end()) {
      return base::not_found("the index of the records has no such shard", name,
                             "retort ledger index --shards FOLDER adds the shards that lie there");
    }
    if (!found->second) {
      RETORT_TRY(found->second, IndexFile::open(index_path(ledger_folder, name)));
      found->second->prefetch_head();
    }
    return found->second.get();
  }
  // With its head read.
  Result<IndexFile*> loaded(const std::string& name) const {
    RETORT_TRY(IndexFile * file, opened(name));
    RETORT_TRY_VOID(file->load());
    if (short_name(file->shard()) == name) return file;
    return base::bad_input("a file of the index is of another shard than its name says",
                           file->path(), "take it away; retort ledger index makes both again");
  }
  Result<IndexFile*> file(const std::string& shard) const {
    RETORT_TRY(IndexFile * file, loaded(short_name(shard)));
    if (file->shard() == shard) return file;
    return base::not_found("the index of the records has no such shard", shard,
                           "retort ledger index --shards FOLDER adds the shards that lie there");
  }
  // Short names of all files that may hold the key.
  std::set<std::string> that_may_hold(const crypto::Digest& key) const {
    std::set<std::string> out(without_filter.begin(), without_filter.end());
    for (const auto& filter : filters) filter->prefetch(key);
    for (const auto& filter : filters) {
      const auto places = filter->candidates(key);
      if (!places) base::log_warning("{}; its files are asked one by one", places.error().text());
      for (size_t i = 0; !places && i < filter->shards().size(); ++i) {
        out.insert(short_name(filter->shards()[i]));
      }
      for (size_t i = 0; places && i < places->size(); ++i) {
        out.insert(short_name(filter->shards()[(*places)[i]]));
      }
    }
    std::erase_if(out, [this](const auto& name) { return !files.contains(name); });
    return out;
  }
};

RecordIndex::RecordIndex(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RecordIndex::RecordIndex(RecordIndex&&) noexcept = default;
RecordIndex& RecordIndex::operator=(RecordIndex&&) noexcept = default;
RecordIndex::~RecordIndex() = default;

Result<RecordIndex> RecordIndex::open(const std::string& ledger_folder) {
  const std::string folder = base::join(ledger_folder, kIndexFolder);
  auto impl = std::make_unique<Impl>();
  impl->ledger_folder = ledger_folder;
  if (!base::is_directory(folder)) return RecordIndex(std::move(impl));
  RETORT_TRY(const auto names, base::list_directory(folder));
  std::set<std::string> with_filter;
  for (const auto& name : names) {
    if (name.ends_with(kIndexSuffix)) {
      impl->files.emplace(name.substr(0, name.size() - std::strlen(kIndexSuffix)), nullptr);
    }
    if (!name.ends_with(kFilterSuffix)) continue;
    auto filter = KeyFilter::open(base::join(folder, name));
    if (!filter) {
      // Another process may have replaced it just now; what it was for is asked without it.
      base::log_warning("{}; its files are asked one by one", filter.error().text());
      continue;
    }
    for (const auto& shard : (*filter)->shards()) with_filter.insert(short_name(shard));
    impl->filters.push_back(std::move(*filter));
  }
  for (const auto& [name, file] : impl->files) {
    if (!with_filter.contains(name)) impl->without_filter.push_back(name);
  }
  return RecordIndex(std::move(impl));
}

bool RecordIndex::has(const std::string& shard) const {
  return impl_->files.contains(short_name(shard));
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
  const auto names = impl_->that_may_hold(key);
  for (const auto& name : names) RETORT_TRY_VOID(impl_->opened(name));
  std::vector<IndexFile*> files;
  for (const auto& name : names) {
    RETORT_TRY(auto* file, impl_->loaded(name));
    file->prefetch(key);
    files.push_back(file);
  }
  std::vector<RecordPlace> out;
  std::vector<uint32_t> rows;
  for (IndexFile* file : files) {
    rows.clear();
    RETORT_TRY_VOID(file->find(key, rows));
    for (const uint32_t row : rows) out.push_back({file->shard(), row});
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
  for (const auto& [name, file] : impl_->files) {
    out += base::file_size(index_path(impl_->ledger_folder, name)).value_or(0);
  }
  for (const auto& filter : impl_->filters) out += base::file_size(filter->path()).value_or(0);
  return out;
}

Result<void> RecordIndex::check() const {
  for (const auto& [name, ignored] : impl_->files) {
    RETORT_TRY(auto* file, impl_->loaded(name));
    RETORT_TRY_VOID(file->check());
  }
  for (const auto& filter : impl_->filters) RETORT_TRY_VOID(filter->check());
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
  RETORT_TRY(const int64_t bytes, write_index_file(index_path(ledger_folder, shard),
                                                   impl_->builder.take(shard, terms_set)));
  // Without a filter a question takes longer and has the same answer.
  if (const auto filtered = update_filters(ledger_folder); !filtered) {
    base::log_warning("no filter could be written: {}", filtered.error().text());
  }
  return bytes;
}

}  // namespace retort::corpus
