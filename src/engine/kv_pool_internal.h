// The keys and values themselves: a page holds 16 positions of every layer and key-value head.
#pragma once
#include <cstdint>

#include "engine/page_cache_internal.h"
#include "kernels/decode.h"
#include "model/config.h"
#include "tensor/buffer.h"

namespace retort::engine {

class KvPool {
 public:
  KvPool(const model::Config& config, int64_t pages)
      : head_dim_(config.head_dim),
        head_stride_(2 * kernels::kPagePositions * config.head_dim),
        layer_stride_(head_stride_ * config.kv_heads),
        page_stride_(layer_stride_ * config.layers),
        memory_(page_stride_ * pages) {}

  static int64_t page_bytes(const model::Config& config) {
    return 2 * kernels::kPagePositions * config.head_dim * config.kv_heads * config.layers *
           static_cast<int64_t>(sizeof(kernels::Bf16));
  }

  kernels::PagedHead head(int64_t layer, int64_t kv_head, const PageId* pages) {
    return {memory_.data() + layer * layer_stride_ + kv_head * head_stride_, page_stride_, pages,
            head_dim_};
  }
  int64_t bytes() const { return memory_.size() * static_cast<int64_t>(sizeof(kernels::Bf16)); }

 private:
  int64_t head_dim_, head_stride_, layer_stride_, page_stride_;
  tensor::Buffer<kernels::Bf16> memory_;
};

}  // namespace retort::engine
