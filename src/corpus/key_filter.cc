// Reading one filter.
#include "corpus/key_filter_internal.h"

#include <fmt/core.h>
#include <sys/mman.h>

#include <algorithm>

#include "corpus/filter_layout_internal.h"
#include "corpus/index_layout_internal.h"

namespace retort::corpus {

Error KeyFilter::damaged(const std::string& what) const {
  return base::bad_input("a filter of the index is damaged: " + what, path_,
                         "retort ledger index makes it again");
}

Result<std::unique_ptr<KeyFilter>> KeyFilter::open(const std::string& path) {
  RETORT_TRY(auto file, base::MappedFile::open(path));
  std::unique_ptr<KeyFilter> out(new KeyFilter(path, std::move(file)));
  const int64_t size = out->file_.size();
  if (size < kIndexBlock || size % kIndexBlock != 0) {
    return out->damaged(fmt::format("{} bytes are no number of whole blocks", size));
  }
  out->sound_.resize(static_cast<size_t>(size / kIndexBlock));
  RETORT_TRY_VOID(out->load());
  return out;
}

Result<std::string_view> KeyFilter::block(int64_t number) {
  if (number < 0 || number >= std::ssize(sound_)) return damaged("it points behind its end");
  const auto whole = file_.view().substr(static_cast<size_t>(number * kIndexBlock), kIndexBlock);
  const auto content = whole.substr(0, kIndexContent);
  if (sound_[static_cast<size_t>(number)]) return content;
  const std::string_view identity = number == 0 ? content.substr(16, 32) : identity_;
  if (block_check(identity, number, content) != whole.substr(kIndexContent)) {
    return damaged(fmt::format("block {} does not fit its check", number));
  }
  sound_[static_cast<size_t>(number)] = true;
  return content;
}

Result<void> KeyFilter::load() {
  if (!file_.view().starts_with(kFilterMagic)) return damaged("its first bytes are another file's");
  RETORT_TRY(const auto head, block(0));
  if (number_at(head, 8, 4) != kFilterVersion) {
    return base::bad_input("a filter of the index is of a form that is not known", path_,
                           "a newer program wrote it; use that one, or take it away");
  }
  identity_ = std::string(head.substr(16, 32));
  const auto shards = static_cast<int64_t>(number_at(head, 12, 4));
  bucket_bits_ = static_cast<int>(number_at(head, 48, 1));
  data_bytes_ = number_at(head, 56, 8);
  if (bucket_bits_ > kMostBucketBits || data_bytes_ > uint64_t{1} << 48) {
    return damaged("its head contradicts itself");
  }
  first_offset_block_ = 1 + blocks_for(shards, kDigestBytes);
  first_data_block_ =
      first_offset_block_ + blocks_for((int64_t{1} << bucket_bits_) + 1, kOffsetBytes);
  if (first_data_block_ + blocks_for(static_cast<int64_t>(data_bytes_), 1) != std::ssize(sound_)) {
    return damaged("its parts do not add up to its length");
  }
  std::string digests;
  for (int64_t i = 0; i < shards; ++i) {
    RETORT_TRY(const auto content, block(1 + i / items_per_block(kDigestBytes)));
    const auto at = static_cast<size_t>(i % items_per_block(kDigestBytes) * kDigestBytes);
    digests += content.substr(at, kDigestBytes);
    shards_.push_back(crypto::to_hex(content.substr(at, kDigestBytes)));
  }
  if (crypto::as_bytes(crypto::sha256(digests)) != identity_) {
    return damaged("its shards are not those that it was made of");
  }
  return {};
}

uint64_t KeyFilter::bucket_of(const crypto::Digest& key) const {
  return top_bits(prefix_of(key), bucket_bits_);
}

Result<uint64_t> KeyFilter::offset(uint64_t bucket) {
  const auto per_block = static_cast<uint64_t>(items_per_block(kOffsetBytes));
  RETORT_TRY(const auto content,
             block(first_offset_block_ + static_cast<int64_t>(bucket / per_block)));
  return number_at(content, bucket % per_block * kOffsetBytes, kOffsetBytes);
}

Result<std::string> KeyFilter::data(uint64_t begin, uint64_t end) {
  if (begin > end || end > data_bytes_) return damaged("a bucket lies behind its end");
  std::string out;
  while (begin < end) {
    RETORT_TRY(const auto content,
               block(first_data_block_ + static_cast<int64_t>(begin / kIndexContent)));
    const size_t at = begin % kIndexContent;
    const size_t here = std::min<size_t>(end - begin, static_cast<size_t>(kIndexContent) - at);
    out += content.substr(at, here);
    begin += here;
  }
  return out;
}

void KeyFilter::prefetch(const crypto::Digest& key) const {
  const uint64_t bucket = bucket_of(key);
  const auto ask = [&](int64_t first, int64_t count) {
    count = std::min(count, std::ssize(sound_) - first);
    madvise(const_cast<uint8_t*>(file_.data()) + first * kIndexBlock,
            static_cast<size_t>(count * kIndexBlock), MADV_WILLNEED);
  };
  const auto buckets = uint64_t{1} << bucket_bits_;
  ask(first_offset_block_ + static_cast<int64_t>(bucket) / items_per_block(kOffsetBytes), 1);
  // Buckets are about alike: where this one lies is known before its offset is read.
  const double share = static_cast<double>(bucket) / static_cast<double>(buckets);
  const auto guess = static_cast<int64_t>(share * static_cast<double>(data_bytes_));
  const auto length = static_cast<int64_t>(data_bytes_ / buckets);
  const int64_t from = std::max<int64_t>(guess / kIndexContent - 1, 0);
  ask(first_data_block_ + from, (guess + length) / kIndexContent + 2 - from);
}

Result<std::vector<size_t>> KeyFilter::candidates(const crypto::Digest& key) {
  const uint64_t prefix = prefix_of(key);
  const uint64_t bucket = bucket_of(key);
  RETORT_TRY(const uint64_t begin, offset(bucket));
  RETORT_TRY(const uint64_t end, offset(bucket + 1));
  RETORT_TRY(const std::string bytes, data(begin, end));
  const uint64_t wanted = top_bits(prefix << bucket_bits_, kPrintBits);
  BitReader counts(bytes), prints(bytes);
  if (!prints.skip_zeros(shards_.size())) return damaged("a bucket is cut off");
  std::vector<size_t> out;
  for (size_t shard = 0; shard < shards_.size(); ++shard) {
    while (counts.bit()) {
      if (!prints.has(kPrintBits)) return damaged("a bucket is cut off");
      const bool same = prints.take(kPrintBits) == wanted;
      if (same && (out.empty() || out.back() != shard)) out.push_back(shard);
    }
  }
  return out;
}

Result<void> KeyFilter::check() {
  for (int64_t i = 0; i < std::ssize(sound_); ++i) RETORT_TRY_VOID(block(i));
  return {};
}

}  // namespace retort::corpus
