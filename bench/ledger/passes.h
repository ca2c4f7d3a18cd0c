// What the figures of shards are measured by.
#pragma once
#include <functional>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/parallel.h"
#include "base/result.h"
#include "corpus/shard.h"
#include "corpus/zstd_internal.h"

namespace retort::bench {

// Whatever is measured by it is a figure of one core.
class OneThread {
 public:
  OneThread() : before_(base::thread_count()) { base::set_thread_count(1); }
  ~OneThread() { base::set_thread_count(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

// Every line of the shards, unpacked and otherwise as it is.
inline Result<void> each_line(const std::vector<corpus::Shard>& shards,
                              const std::function<Result<void>(std::string_view)>& take) {
  for (const auto& shard : shards) {
    RETORT_TRY(const auto file, base::MappedFile::open(shard.path()));
    corpus::ZstdLines lines(file.view(), shard.path());
    while (true) {
      RETORT_TRY(const auto block, lines.next());
      if (block.empty()) break;
      for (const auto line : block) RETORT_TRY_VOID(take(line));
    }
  }
  return {};
}

}  // namespace retort::bench
