// The keys and values themselves: a page holds 16 positions of every layer and key-value head, in
// bf16, or in fp32 where the model computes in fp32.
#pragma once
#include <cstdint>

#include "engine/page_cache_internal.h"
#include "kernels/decode.h"
#include "model/config.h"
#include "tensor/buffer.h"

namespace retort::engine {

class KvPool {
 public:
  KvPool(const model::Config& config, int64_t pages, bool exact)
      : head_dim_(config.head_dim),
        head_stride_(2 * kernels::kPagePositions * config.head_dim),
        layer_stride_(head_stride_ * config.kv_heads),
        page_stride_(layer_stride_ * config.layers),
        bf16_(exact ? 0 : page_stride_ * pages),
        f32_(exact ? page_stride_ * pages : 0) {}

  static int64_t page_bytes(const model::Config& config, bool exact) {
    return 2 * kernels::kPagePositions * config.head_dim * config.kv_heads * config.layers *
           (exact ? 4 : 2);
  }

  kernels::PagedHead head(int64_t layer, int64_t kv_head, const PageId* pages) {
    const int64_t offset = layer * layer_stride_ + kv_head * head_stride_;
    return {bf16_.size() > 0 ? bf16_.data() + offset : nullptr,
            f32_.size() > 0 ? f32_.data() + offset : nullptr, page_stride_, pages, head_dim_};
  }
  int64_t bytes() const { return 2 * bf16_.size() + 4 * f32_.size(); }

 private:
  int64_t head_dim_, head_stride_, layer_stride_, page_stride_;
  tensor::Buffer<kernels::Bf16> bf16_;
  tensor::Buffer<float> f32_;
};

}  // namespace retort::engine
