#include <fmt/core.h>
#include <zstd.h>

#include <cstring>

#include "base/check.h"
#include "corpus/zstd_internal.h"

namespace retort::corpus {
namespace {

constexpr size_t kBlockBytes = size_t{128} << 10;  // of lines handed out at once
constexpr size_t kLongestLine = size_t{64} << 20;  // longer ones are no records of ours

Error not_zstd(const std::string& where, std::string_view why) {
  return base::bad_input(fmt::format("the shard cannot be unpacked: {}", why), where,
                         "put the file back from a backup");
}

}  // namespace

Result<ZstdWriter> ZstdWriter::create(const std::string& path, int level) {
  RETORT_TRY(auto file, base::FileWriter::create(path));
  ZSTD_CCtx* context = ZSTD_createCCtx();
  RETORT_CHECK(context != nullptr, "no memory for zstd");
  ZstdWriter writer(std::move(file), path, context);
  const size_t set = ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
  if (ZSTD_isError(set) != 0 || level > ZSTD_maxCLevel()) {
    return base::usage_error(fmt::format("zstd has no level {}", level), "compression",
                             fmt::format("1 to {}", ZSTD_maxCLevel()));
  }
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  return writer;
}

ZstdWriter::ZstdWriter(base::FileWriter file, std::string path, ZSTD_CCtx_s* context)
    : file_(std::move(file)),
      path_(std::move(path)),
      context_(context),
      hash_(std::make_unique<crypto::Sha256>()) {}

ZstdWriter::ZstdWriter(ZstdWriter&& other) noexcept
    : file_(std::move(other.file_)),
      path_(std::move(other.path_)),
      context_(std::exchange(other.context_, nullptr)),
      hash_(std::move(other.hash_)),
      buffer_(std::move(other.buffer_)) {}

ZstdWriter::~ZstdWriter() {
  ZSTD_freeCCtx(context_);
}

Result<void> ZstdWriter::put(std::string_view bytes, bool end) {
  buffer_.resize(ZSTD_CStreamOutSize());
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  const auto mode = end ? ZSTD_e_end : ZSTD_e_continue;
  for (bool more = true; more;) {
    ZSTD_outBuffer out{buffer_.data(), buffer_.size(), 0};
    const size_t left = ZSTD_compressStream2(context_, &out, &in, mode);
    if (ZSTD_isError(left) != 0) {
      return base::internal_error(fmt::format("zstd: {}", ZSTD_getErrorName(left)), path_);
    }
    const std::string_view packed(buffer_.data(), out.pos);
    hash_->add(packed);
    RETORT_TRY_VOID(file_.write(packed));
    more = end ? left != 0 : in.pos < in.size;
  }
  return {};
}

Result<void> ZstdWriter::write(std::string_view bytes) {
  return put(bytes, false);
}

Result<std::string> ZstdWriter::finish() {
  RETORT_TRY_VOID(put({}, true));
  RETORT_TRY_VOID(file_.finish());
  return crypto::to_hex(hash_->finish());
}

ZstdLines::ZstdLines(std::string_view bytes, std::string where)
    : rest_(bytes), where_(std::move(where)), context_(ZSTD_createDCtx()) {
  RETORT_CHECK(context_ != nullptr, "no memory for zstd");
}

ZstdLines::~ZstdLines() {
  ZSTD_freeDCtx(context_);
}

// Decodes a block more behind what is there, or until the input is used up.
Result<void> ZstdLines::fill() {
  const size_t wanted = size_ + kBlockBytes;
  if (wanted > capacity_) {
    capacity_ = 2 * wanted;
    auto larger = std::make_unique_for_overwrite<char[]>(capacity_);
    if (size_ > 0) std::memcpy(larger.get(), block_.get(), size_);
    block_ = std::move(larger);
  }
  ZSTD_inBuffer in{rest_.data(), rest_.size(), 0};
  ZSTD_outBuffer out{block_.get(), wanted, size_};
  while (out.pos < out.size && (in.pos < in.size || !frame_ended_)) {
    const size_t before = out.pos + in.pos;
    const size_t hint = ZSTD_decompressStream(context_, &out, &in);
    if (ZSTD_isError(hint) != 0) return not_zstd(where_, ZSTD_getErrorName(hint));
    frame_ended_ = hint == 0;
    if (!frame_ended_ && out.pos + in.pos == before) return not_zstd(where_, "it is cut off");
  }
  rest_.remove_prefix(in.pos);
  size_ = out.pos;
  return {};
}

Result<std::vector<std::string_view>> ZstdLines::next() {
  size_ -= used_;
  if (size_ > 0) std::memmove(block_.get(), block_.get() + used_, size_);
  used_ = 0;
  while (used_ == 0) {
    const size_t before = size_;
    RETORT_TRY_VOID(fill());
    if (size_ == 0) return std::vector<std::string_view>{};
    const std::string_view added(block_.get() + before, size_ - before);
    const size_t last = added.rfind('\n');
    if (last != std::string_view::npos) {
      used_ = before + last + 1;
    } else if (size_ == before) {
      return not_zstd(where_, "its last line has no end");
    } else if (size_ > kLongestLine) {
      return not_zstd(where_, "a line is longer than any record");
    }
  }
  const std::string_view block(block_.get(), used_);
  std::vector<std::string_view> lines;
  for (size_t at = 0; at < used_;) {
    const size_t end = block.find('\n', at);
    lines.push_back(block.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

}  // namespace retort::corpus
