// zstd as streams: a file that is compressed and hashed while it is written, and lines that are
// read from compressed bytes block by block, so that a shard is never whole in memory twice.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "crypto/hash.h"

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace retort::corpus {

class ZstdWriter {
 public:
  static Result<ZstdWriter> create(const std::string& path, int level);
  ZstdWriter(ZstdWriter&& other) noexcept;
  ZstdWriter& operator=(ZstdWriter&&) = delete;
  ~ZstdWriter();

  Result<void> write(std::string_view bytes);
  // Ends the frame and syncs the file; the SHA-256 of the file's bytes, in hex.
  Result<std::string> finish();
  int64_t size_bytes() const { return file_.position(); }

 private:
  ZstdWriter(base::FileWriter file, std::string path, ZSTD_CCtx_s* context);
  Result<void> put(std::string_view bytes, bool end);

  base::FileWriter file_;
  std::string path_;
  ZSTD_CCtx_s* context_;
  std::unique_ptr<crypto::Sha256> hash_;
  std::string buffer_;
};

// The lines of one compressed file, a block of whole lines at a time.
class ZstdLines {
 public:
  // `bytes` outlives the object; `where` names them in errors.
  ZstdLines(std::string_view bytes, std::string where);
  ~ZstdLines();
  ZstdLines(const ZstdLines&) = delete;
  ZstdLines& operator=(const ZstdLines&) = delete;

  // The next lines without their ends, valid until the next call; none: that was all. Bytes that
  // are not zstd, a frame that is cut off or a last line without an end are bad input.
  Result<std::vector<std::string_view>> next();

 private:
  Result<void> fill();

  std::string_view rest_;
  std::string where_;
  ZSTD_DCtx_s* context_;
  std::unique_ptr<char[]> block_;  // decoded bytes; those before used_ were given out
  size_t capacity_ = 0, size_ = 0, used_ = 0;
  bool frame_ended_ = true;
};

}  // namespace retort::corpus
