// Reading one file of the index of records.
#include <fmt/core.h>
#include <sys/mman.h>

#include <algorithm>

#include "corpus/index_file_internal.h"

namespace retort::corpus {
namespace {

constexpr const char* kRebuild = "retort ledger index makes it again from the shards";

}  // namespace

Error IndexFile::damaged(const std::string& what) const {
  return base::bad_input("the index of the records is damaged: " + what, path_, kRebuild);
}

uint32_t IndexFile::number(std::string_view bytes) {
  return static_cast<uint32_t>(number_at(bytes, 0, bytes.size()));
}

Result<std::unique_ptr<IndexFile>> IndexFile::open(const std::string& path) {
  RETORT_TRY(auto file, base::MappedFile::open(path));
  std::unique_ptr<IndexFile> out(new IndexFile(path, std::move(file)));
  const int64_t size = out->file_.size();
  if (size < kIndexBlock || size % kIndexBlock != 0) {
    return out->damaged(fmt::format("{} bytes are no number of whole blocks", size));
  }
  out->sound_.resize(static_cast<size_t>(size / kIndexBlock));
  return out;
}

Result<std::string_view> IndexFile::block(int64_t number) {
  const auto whole = file_.view().substr(static_cast<size_t>(number * kIndexBlock), kIndexBlock);
  const auto content = whole.substr(0, kIndexContent);
  if (sound_[static_cast<size_t>(number)]) return content;
  // The first block tells which shard it is of, and is checked with that.
  const std::string_view shard = number == 0 ? content.substr(16, 32) : shard_bytes_;
  if (block_check(shard, number, content) != whole.substr(kIndexContent)) {
    return damaged(fmt::format("block {} does not fit its check", number));
  }
  sound_[static_cast<size_t>(number)] = true;
  return content;
}

Result<void> IndexFile::load() {
  if (loaded_) return {};
  const std::string_view raw = file_.view().substr(0, kIndexContent);
  if (!raw.starts_with(kIndexMagic)) return damaged("its first bytes are another file's");
  RETORT_TRY(const auto head, block(0));
  if (number_at(head, 8, 4) != kIndexVersion) {
    return base::bad_input("the index of the records is of a form that is not known", path_,
                           "a newer program wrote it; use that one, or make it again");
  }
  RETORT_TRY_VOID(lay_out(head));
  loaded_ = true;
  return {};
}

Result<void> IndexFile::lay_out(std::string_view head) {
  shard_bytes_ = std::string(head.substr(16, 32));
  shard_ = crypto::to_hex(shard_bytes_);
  records_ = static_cast<int64_t>(number_at(head, 12, 4));
  terms_set_ = static_cast<int64_t>(number_at(head, 48, 4));
  row_bytes_ = static_cast<int64_t>(number_at(head, 52, 1));
  parent_row_bytes_ = static_cast<int64_t>(number_at(head, 53, 1));
  const size_t names = number_at(head, 54, 1);
  const auto parents = static_cast<int64_t>(number_at(head, 56, 4));
  const uint64_t links = number_at(head, 60, 8);
  const uint64_t blocks = number_at(head, 68, 8);
  const bool widths_fit =
      row_bytes_ >= 2 && row_bytes_ <= 4 && parent_row_bytes_ >= 2 && parent_row_bytes_ <= 4;
  if (!widths_fit || links > uint64_t{1} << 48 || blocks != sound_.size()) {
    return damaged("its head contradicts itself");
  }
  size_t at = kIndexNamesAt;
  for (size_t i = 0; i < names; ++i) {
    const size_t length = at < head.size() ? number_at(head, at, 1) : head.size();
    if (at + 1 + length > head.size()) return damaged("a name of a split is cut off");
    split_names_.emplace_back(head.substr(at + 1, length));
    at += 1 + length;
  }
  keys_ = {1, 32 + row_bytes_, records_};
  splits_ = {keys_.first_block + keys_.blocks(), 1, records_};
  parents_ = {splits_.first_block + splits_.blocks(), kIndexParentBytes, parents};
  links_ = {parents_.first_block + parents_.blocks(), row_bytes_ + parent_row_bytes_,
            static_cast<int64_t>(links)};
  if (links_.first_block + links_.blocks() != static_cast<int64_t>(blocks)) {
    return damaged("its parts do not add up to its length");
  }
  return {};
}

Result<std::string_view> IndexFile::item_of(const Part& part, int64_t item) {
  RETORT_TRY(const auto content, block(part.first_block + item / part.per_block()));
  const auto width = static_cast<size_t>(part.width);
  return content.substr(static_cast<size_t>(item % part.per_block()) * width, width);
}

// Where a key would lie if all of them were spread evenly, which hashes are.
int64_t IndexFile::first_guess(std::string_view key) const {
  uint64_t begin = 0;
  for (size_t i = 0; i < 4; ++i) begin = begin << 8 | static_cast<unsigned char>(key[i]);
  return static_cast<int64_t>(begin * static_cast<uint64_t>(keys_.items) >> 32) / keys_.per_block();
}

void IndexFile::prefetch_head() const {
  madvise(const_cast<uint8_t*>(file_.data()), kIndexBlock, MADV_WILLNEED);
}

void IndexFile::prefetch(const crypto::Digest& key) const {
  if (!loaded_ || keys_.items == 0) return;
  // The guess is off by about half the square root of the number of keys.
  const int64_t block = keys_.first_block + first_guess(crypto::as_bytes(key));
  const int64_t from = std::max(block - 1, keys_.first_block);
  const int64_t to = std::min(block + 2, keys_.first_block + keys_.blocks());
  madvise(const_cast<uint8_t*>(file_.data()) + from * kIndexBlock,
          static_cast<size_t>((to - from) * kIndexBlock), MADV_WILLNEED);
}

// The block of the keys in which the first one that is not below `key` lies, or the one before.
Result<int64_t> IndexFile::guess_block(std::string_view key) {
  int64_t low = 0;  // its first key is below `key`, or it is the first block
  int64_t high = keys_.blocks();
  int64_t at = std::min(first_guess(key), high - 1);
  for (int64_t step = 1; low + 1 < high;) {
    RETORT_TRY(const auto first, item_of(keys_, at * keys_.per_block()));
    if (at > low && first.substr(0, 32) >= key) {
      high = at;
      at = std::max(low, at - step);
    } else {
      low = std::max(low, at);
      // It is here unless the block ends below the key.
      const int64_t last_item = std::min((at + 1) * keys_.per_block(), keys_.items) - 1;
      RETORT_TRY(const auto last, item_of(keys_, last_item));
      if (last.substr(0, 32) >= key) return at;
      at = std::min(high - 1, at + step);
    }
    step *= 2;
    if (at <= low || at >= high) at = low + (high - low) / 2;
  }
  return low;
}

Result<int64_t> IndexFile::first_at_least(std::string_view key) {
  RETORT_TRY(const int64_t block, guess_block(key));
  int64_t begin = block * keys_.per_block();
  int64_t end = std::min(begin + keys_.per_block(), keys_.items);
  while (begin < end) {
    const int64_t middle = begin + (end - begin) / 2;
    RETORT_TRY(const auto item, item_of(keys_, middle));
    if (item.substr(0, 32) < key) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

Result<void> IndexFile::find(const crypto::Digest& key, std::vector<uint32_t>& rows) {
  RETORT_TRY_VOID(load());
  if (records_ == 0) return {};
  const std::string_view wanted = crypto::as_bytes(key);
  RETORT_TRY(int64_t at, first_at_least(wanted));
  for (; at < keys_.items; ++at) {
    RETORT_TRY(const auto item, item_of(keys_, at));
    if (item.substr(0, 32) != wanted) return {};
    rows.push_back(number(item.substr(32)));
  }
  return {};
}

Result<std::vector<std::string>> IndexFile::parents() {
  RETORT_TRY_VOID(load());
  std::vector<std::string> out;
  for (int64_t i = 0; i < parents_.items; ++i) {
    RETORT_TRY(const auto item, item_of(parents_, i));
    out.push_back(crypto::to_hex(item.substr(0, 32)));
  }
  return out;
}

Result<std::vector<uint32_t>> IndexFile::children(const crypto::Digest& parent,
                                                  const std::vector<uint32_t>& rows) {
  RETORT_TRY_VOID(load());
  std::vector<uint32_t> out;
  const std::string_view wanted = crypto::as_bytes(parent);
  int64_t begin = -1;
  int64_t end = links_.items;
  for (int64_t i = 0; i < parents_.items; ++i) {
    RETORT_TRY(const auto item, item_of(parents_, i));
    const auto first = static_cast<int64_t>(number_at(item, 32, 8));
    if (first > links_.items) return damaged("a parent's links begin behind their end");
    if (begin >= 0) {
      end = first;
      break;
    }
    if (item.substr(0, 32) == wanted) begin = first;
  }
  if (begin < 0) return out;
  const auto parent_bytes = static_cast<size_t>(parent_row_bytes_);
  for (const uint32_t row : rows) {
    // The links are sorted, and so are the rows: each search begins where the last one ended.
    int64_t low = begin;
    int64_t high = end;
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      RETORT_TRY(const auto item, item_of(links_, middle));
      if (number(item.substr(0, parent_bytes)) < row) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    for (; low < end; ++low) {
      RETORT_TRY(const auto item, item_of(links_, low));
      if (number(item.substr(0, parent_bytes)) != row) break;
      out.push_back(number(item.substr(parent_bytes)));
    }
    begin = low;
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Result<uint8_t> IndexFile::split_of(uint32_t row) {
  RETORT_TRY_VOID(load());
  if (row >= records_) return damaged(fmt::format("it has no row {}", row));
  RETORT_TRY(const auto item, item_of(splits_, row));
  const auto code = static_cast<uint8_t>(item[0]);
  if (code >= split_names_.size()) return damaged(fmt::format("row {} is in no split", row));
  return code;
}

Result<int64_t> IndexFile::count(uint8_t split) {
  RETORT_TRY_VOID(load());
  int64_t out = 0;
  for (int64_t done = 0; done < records_; done += splits_.per_block()) {
    RETORT_TRY(const auto content, block(splits_.first_block + done / splits_.per_block()));
    const auto here = static_cast<size_t>(std::min(splits_.per_block(), records_ - done));
    const auto codes = content.substr(0, here);
    out += std::count(codes.begin(), codes.end(), static_cast<char>(split));
  }
  return out;
}

Result<void> IndexFile::check() {
  RETORT_TRY_VOID(load());
  for (int64_t i = 0; i < static_cast<int64_t>(sound_.size()); ++i) RETORT_TRY_VOID(block(i));
  return {};
}

}  // namespace retort::corpus
