// Which shards may hold a key: a filter over many shards' files of the index, laid out so that a
// question reads one place of it. It names every shard that holds the key, and now and then one
// that does not; the shard's own file decides. docs/reference/record-index.md specifies the bytes.
// Derived: without filters, or with damaged ones, every file is asked.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "crypto/hash.h"

namespace retort::corpus {

class IndexFile;

inline constexpr const char* kFilterSuffix = ".filter";

class KeyFilter {
 public:
  // Reads the head and the list of shards.
  static Result<std::unique_ptr<KeyFilter>> open(const std::string& path);

  const std::string& path() const { return path_; }
  // Digests, 64 hex digits, sorted.
  const std::vector<std::string>& shards() const { return shards_; }
  // Asks the system to bring what candidates() reads first.
  void prefetch(const crypto::Digest& key) const;
  // Places in shards() that may hold the key, ascending.
  Result<std::vector<size_t>> candidates(const crypto::Digest& key);
  // Reads every block.
  Result<void> check();

 private:
  KeyFilter(std::string path, base::MappedFile file)
      : path_(std::move(path)), file_(std::move(file)) {}
  Error damaged(const std::string& what) const;
  Result<void> load();
  Result<std::string_view> block(int64_t number);
  Result<uint64_t> offset(uint64_t bucket);
  Result<std::string> data(uint64_t begin, uint64_t end);
  uint64_t bucket_of(const crypto::Digest& key) const;

  std::string path_;
  base::MappedFile file_;
  std::string identity_;  // 32 bytes
  std::vector<bool> sound_;
  std::vector<std::string> shards_;
  int bucket_bits_ = 0;
  int64_t first_offset_block_ = 0, first_data_block_ = 0;
  uint64_t data_bytes_ = 0;
};

// The filter of these files, in the order of their shards' digests.
Result<std::string> filter_bytes(const std::vector<IndexFile*>& files);
std::string filter_path(const std::string& index_folder, const std::vector<std::string>& shards);

// So many shards make a filter, and so many filters one larger filter.
inline constexpr size_t kFilterStep = 16;
// Writes filters over files that have none yet, makes a larger one of sixteen small ones, and
// removes what is damaged and what a larger one makes superfluous. Does nothing while another
// process is at it. Killed anywhere it leaves filters that are whole.
Result<void> update_filters(const std::string& ledger_folder);
// Reads every filter whole; the next update makes those again that were damaged.
Result<void> remove_damaged_filters(const std::string& ledger_folder);

}  // namespace retort::corpus
