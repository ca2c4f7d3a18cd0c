// Writing one file of the index of records.
#include <fmt/core.h>

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "corpus/index_file_internal.h"
#include "corpus/index_layout_internal.h"
#include "corpus/shard_internal.h"

namespace retort::corpus {
namespace {

// Items go into blocks, parts begin new ones.
class Blocks {
 public:
  explicit Blocks(const std::string& shard_hex) : shard_(*crypto::from_hex(shard_hex)) {}

  void begin_part() { close(); }

  void add(std::string_view item) {
    if (static_cast<int64_t>(content_.size() + item.size()) > kIndexContent) close();
    content_ += item;
  }

  std::string finish() {
    close();
    return std::move(out_);
  }

 private:
  void close() {
    if (content_.empty()) return;
    content_.resize(kIndexContent);
    out_ += content_;
    out_ += block_check(shard_, number_++, content_);
    content_.clear();
  }

  std::string shard_;
  std::string content_, out_;
  int64_t number_ = 0;
};

// The order of the digests of parents changes, and with it their numbers.
void sort_parents(IndexContent& content) {
  std::vector<uint32_t> order(content.parents.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&content](uint32_t a, uint32_t b) { return content.parents[a] < content.parents[b]; });
  std::vector<uint32_t> place(order.size());
  std::vector<crypto::Digest> sorted(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    place[order[i]] = static_cast<uint32_t>(i);
    sorted[i] = content.parents[order[i]];
  }
  content.parents = std::move(sorted);
  for (auto& link : content.links) link.parent_shard = place[link.parent_shard];
  std::sort(content.links.begin(), content.links.end(), [](const auto& a, const auto& b) {
    return std::tie(a.parent_shard, a.parent_row, a.row) <
           std::tie(b.parent_shard, b.parent_row, b.row);
  });
}

struct Widths {
  int64_t row = 2, parent_row = 2;
};

Result<std::string> head_of(const IndexContent& content, const Widths& widths) {
  const auto records = std::ssize(content.keys);
  const auto links = std::ssize(content.links);
  const auto parents = std::ssize(content.parents);
  const int64_t blocks = 1 + blocks_for(records, 32 + widths.row) + blocks_for(records, 1) +
                         blocks_for(parents, kIndexParentBytes) +
                         blocks_for(links, widths.row + widths.parent_row);
  std::string out(kIndexMagic);
  put(out, kIndexVersion, 4);
  put(out, static_cast<uint64_t>(records), 4);
  out += *crypto::from_hex(content.shard);
  put(out, static_cast<uint64_t>(content.terms_set), 4);
  put(out, static_cast<uint64_t>(widths.row), 1);
  put(out, static_cast<uint64_t>(widths.parent_row), 1);
  put(out, content.split_names.size(), 1);
  put(out, 0, 1);
  put(out, static_cast<uint64_t>(parents), 4);
  put(out, static_cast<uint64_t>(links), 8);
  put(out, static_cast<uint64_t>(blocks), 8);
  for (const auto& name : content.split_names) {
    put(out, name.size(), 1);
    out += name;
  }
  if (std::ssize(out) <= kIndexContent) return out;
  return base::bad_input("the names of a shard's splits are too long to be indexed", content.shard);
}

void add_keys(Blocks& blocks, const IndexContent& content, int64_t row_bytes) {
  std::vector<uint32_t> order(content.keys.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&content](uint32_t a, uint32_t b) {
    return std::tie(content.keys[a], a) < std::tie(content.keys[b], b);
  });
  blocks.begin_part();
  std::string item;
  for (const uint32_t row : order) {
    item = crypto::as_bytes(content.keys[row]);
    put(item, row, static_cast<int>(row_bytes));
    blocks.add(item);
  }
}

void add_parents(Blocks& blocks, const IndexContent& content) {
  blocks.begin_part();
  size_t link = 0;
  for (size_t i = 0; i < content.parents.size(); ++i) {
    while (link < content.links.size() && content.links[link].parent_shard < i) ++link;
    std::string item(crypto::as_bytes(content.parents[i]));
    put(item, link, 8);
    blocks.add(item);
  }
}

void add_links(Blocks& blocks, const IndexContent& content, const Widths& widths) {
  blocks.begin_part();
  std::string item;
  for (const auto& link : content.links) {
    item.clear();
    put(item, link.parent_row, static_cast<int>(widths.parent_row));
    put(item, link.row, static_cast<int>(widths.row));
    blocks.add(item);
  }
}

}  // namespace

std::string index_path(const std::string& ledger_folder, const std::string& shard_digest) {
  return base::join(base::join(ledger_folder, kIndexFolder),
                    shard_digest.substr(0, kNameDigits) + kIndexSuffix);
}

Result<uint8_t> IndexContentBuilder::split_code(std::string_view split) {
  auto& names = content_.split_names;
  // Few names, and neighbours are alike.
  if (!content_.splits.empty() && names[content_.splits.back()] == split) {
    return content_.splits.back();
  }
  const auto found = std::find(names.begin(), names.end(), split);
  if (found != names.end()) return static_cast<uint8_t>(found - names.begin());
  if (names.size() >= 255 || split.size() > 255) {
    return base::bad_input("a shard has too many splits, or too long a name of one, to be indexed",
                           where_);
  }
  names.emplace_back(split);
  return static_cast<uint8_t>(names.size() - 1);
}

Result<uint32_t> IndexContentBuilder::parent_code(const std::string& shard) {
  if (shard == last_parent_) return last_parent_code_;
  RETORT_TRY(const auto digest, crypto::digest_from_hex(shard));
  const auto [found, is_new] =
      parent_codes_.emplace(digest, static_cast<uint32_t>(content_.parents.size()));
  if (is_new) content_.parents.push_back(digest);
  last_parent_ = shard;
  last_parent_code_ = found->second;
  return last_parent_code_;
}

Result<void> IndexContentBuilder::add(std::string_view key, std::string_view split,
                                      std::span<const ParentLink> parents) {
  const auto row = static_cast<uint32_t>(content_.keys.size());
  RETORT_TRY(const auto digest, crypto::digest_from_hex(key));
  RETORT_TRY(const auto code, split_code(split));
  content_.keys.push_back(digest);
  content_.splits.push_back(code);
  for (const auto& parent : parents) {
    RETORT_TRY(const auto shard, parent_code(parent.shard));
    if (parent.row < 0 || parent.row > int64_t{UINT32_MAX}) {
      return base::bad_input("a record's parent has a row that cannot be",
                             fmt::format("{}: record {}", where_, row));
    }
    content_.links.push_back({shard, static_cast<uint32_t>(parent.row), row});
  }
  return {};
}

IndexContent IndexContentBuilder::take(std::string shard, int64_t terms_set) {
  content_.shard = std::move(shard);
  content_.terms_set = terms_set;
  return std::move(content_);
}

Result<std::string> index_file_bytes(IndexContent content) {
  RETORT_CHECK(content.keys.size() == content.splits.size());
  sort_parents(content);
  uint32_t last_parent = 0;
  for (const auto& link : content.links) last_parent = std::max(last_parent, link.parent_row);
  const Widths widths{row_bytes_for(std::ssize(content.keys) - 1), row_bytes_for(last_parent)};
  RETORT_TRY(const auto head, head_of(content, widths));
  Blocks blocks(content.shard);
  blocks.add(head);
  add_keys(blocks, content, widths.row);
  blocks.begin_part();
  for (const uint8_t split : content.splits) blocks.add({reinterpret_cast<const char*>(&split), 1});
  add_parents(blocks, content);
  add_links(blocks, content, widths);
  return blocks.finish();
}

Result<int64_t> write_index_file(const std::string& path, IndexContent content) {
  RETORT_TRY(const auto bytes, index_file_bytes(std::move(content)));
  RETORT_TRY_VOID(base::make_directories(base::parent(path)));
  RETORT_TRY_VOID(base::write_file_atomic(path, bytes));
  return std::ssize(bytes);
}

}  // namespace retort::corpus
