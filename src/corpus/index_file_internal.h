// One file of the index of records: how it is laid out, written and read.
// docs/reference/record-index.md specifies the bytes.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "corpus/index_layout_internal.h"
#include "corpus/record.h"
#include "crypto/hash.h"

namespace retort::corpus {

inline constexpr const char* kIndexFolder = "index";
inline constexpr const char* kIndexSuffix = ".records";

std::string index_path(const std::string& ledger_folder, const std::string& shard_digest);

// What one shard's file says; the rows are the shard's.
struct IndexContent {
  struct Link {
    uint32_t parent_shard = 0;  // in `parents`
    uint32_t parent_row = 0;
    uint32_t row = 0;
  };
  std::string shard;  // digest, 64 hex digits
  int64_t terms_set = 0;
  std::vector<crypto::Digest> keys;
  std::vector<uint8_t> splits;           // in `split_names`
  std::vector<std::string> split_names;  // at most 255
  std::vector<crypto::Digest> parents;
  std::vector<Link> links;
};

// Takes records in the order of their rows.
class IndexContentBuilder {
 public:
  // `where` names the records in errors.
  explicit IndexContentBuilder(std::string where) : where_(std::move(where)) {}
  // bad_input for a key or digest that is none, more splits than fit, a row out of range.
  Result<void> add(std::string_view key, std::string_view split,
                   std::span<const ParentLink> parents);
  IndexContent take(std::string shard, int64_t terms_set);

 private:
  Result<uint8_t> split_code(std::string_view split);
  Result<uint32_t> parent_code(const std::string& shard);

  std::string where_;
  IndexContent content_;
  std::map<crypto::Digest, uint32_t> parent_codes_;
  std::string last_parent_;
  uint32_t last_parent_code_ = 0;
};

Result<std::string> index_file_bytes(IndexContent content);
// The file is whole or as before; returns its bytes.
Result<int64_t> write_index_file(const std::string& path, IndexContent content);

// A file open for reading. Blocks are checked when they are first read.
class IndexFile {
 public:
  // Reads nothing but the length.
  static Result<std::unique_ptr<IndexFile>> open(const std::string& path);

  // Asks the system to bring what find() will look at, so that many files load at once.
  void prefetch_head() const;
  void prefetch(const crypto::Digest& key) const;
  // What the other functions need first; again and again costs nothing.
  Result<void> load();

  const std::string& path() const { return path_; }
  int64_t size_bytes() const { return file_.size(); }
  const std::string& shard() const { return shard_; }
  int64_t records() const { return records_; }
  int64_t terms_set() const { return terms_set_; }
  const std::vector<std::string>& split_names() const { return split_names_; }

  Result<void> find(const crypto::Digest& key, std::vector<uint32_t>& rows);
  Result<std::vector<uint32_t>> children(const crypto::Digest& parent,
                                         const std::vector<uint32_t>& rows);
  Result<std::vector<std::string>> parents();
  Result<uint8_t> split_of(uint32_t row);
  Result<int64_t> count(uint8_t split);
  template <class Visit>
  Result<void> for_each(const Visit& visit) {
    for (int64_t i = 0; i < records_; ++i) {
      RETORT_TRY(const auto item, item_of(keys_, i));
      visit(item, number(item.substr(32)));
    }
    return {};
  }
  Result<void> check();

 private:
  struct Part {
    int64_t first_block = 0;
    int64_t width = 1;  // bytes an item
    int64_t items = 0;
    int64_t per_block() const { return items_per_block(width); }
    int64_t blocks() const { return blocks_for(items, width); }
  };

  explicit IndexFile(std::string path, base::MappedFile file)
      : path_(std::move(path)), file_(std::move(file)) {}
  Error damaged(const std::string& what) const;
  Result<std::string_view> block(int64_t number);
  Result<std::string_view> item_of(const Part& part, int64_t item);
  Result<void> lay_out(std::string_view head);
  Result<int64_t> first_at_least(std::string_view key);
  Result<int64_t> guess_block(std::string_view key);
  int64_t first_guess(std::string_view key) const;
  static uint32_t number(std::string_view bytes);

  std::string path_;
  base::MappedFile file_;
  bool loaded_ = false;
  std::vector<bool> sound_;  // blocks that were checked
  std::string shard_, shard_bytes_;
  int64_t records_ = 0, terms_set_ = 0, row_bytes_ = 0, parent_row_bytes_ = 0;
  std::vector<std::string> split_names_;
  Part keys_, splits_, parents_, links_;
};

}  // namespace retort::corpus
