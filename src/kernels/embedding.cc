#include "kernels/embedding.h"

#include <cstring>

#include "base/parallel.h"

namespace retort::kernels {

void embedding(std::span<const int32_t> ids, int64_t width, const float* table, float* y) {
  const auto bytes = static_cast<size_t>(width) * sizeof(float);
  base::parallel_for(static_cast<int64_t>(ids.size()), 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      std::memcpy(y + i * width, table + ids[i] * width, bytes);
    }
  });
}

void embedding_backward(std::span<const int32_t> ids, int64_t width, const float* dy,
                        float* dtable) {
  base::parallel_for(width, 32, [&](int64_t begin, int64_t end) {
    for (size_t i = 0; i < ids.size(); ++i) {
      const float* from = dy + static_cast<int64_t>(i) * width;
      float* to = dtable + ids[i] * width;
      for (int64_t c = begin; c < end; ++c) to[c] += from[c];
    }
  });
}

}  // namespace retort::kernels
