// The numbers of docs/reference/record-index.md, and the check of a block.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "corpus/bytes_internal.h"
#include "crypto/hash.h"

namespace retort::corpus {

inline constexpr int64_t kIndexBlock = 4'096;
inline constexpr int64_t kIndexContent = 4'088;  // of a block; the rest is its check
inline constexpr std::string_view kIndexMagic = "RTRECIDX";
inline constexpr uint64_t kIndexVersion = 1;
inline constexpr size_t kIndexNamesAt = 76;  // in the head
inline constexpr int64_t kIndexParentBytes = 40;

// 2, 3 or 4: what rows up to this one need.
inline int64_t row_bytes_for(int64_t last_row) {
  return last_row < 1 << 16 ? 2 : last_row < 1 << 24 ? 3 : 4;
}

// Items of `width` bytes, none cut at the end of a block.
inline int64_t items_per_block(int64_t width) {
  return kIndexContent / width;
}
inline int64_t blocks_for(int64_t items, int64_t width) {
  return (items + items_per_block(width) - 1) / items_per_block(width);
}

// `shard`: the digest's 32 bytes; `content`: all of it.
inline std::string block_check(std::string_view shard, int64_t number, std::string_view content) {
  std::string text;
  text.reserve(shard.size() + 8 + content.size());
  text += shard;
  put(text, static_cast<uint64_t>(number), 8);
  text += content;
  return std::string(crypto::as_bytes(crypto::sha256(text)).substr(0, 8));
}

}  // namespace retort::corpus
