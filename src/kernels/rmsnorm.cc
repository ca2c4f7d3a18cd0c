#include "kernels/rmsnorm.h"

#include <algorithm>

#include "base/check.h"
#include "base/parallel.h"
#include "kernels/loops_internal.h"

namespace retort::kernels {
namespace {

constexpr int64_t kBlocks = 32;  // of rows, each with its own sum for dweight

template <class T>
void forward(const Rmsnorm<T>& args) {
  RETORT_CHECK(args.delta == nullptr || args.sum != nullptr);
  base::parallel_for(args.rows, 16, [&](int64_t begin, int64_t end) {
    typed_loops(args.y).rmsnorm(args, {begin, end});
  });
}

template <class T>
void backward(const RmsnormBackward<T>& args) {
  const int64_t blocks = std::min(kBlocks, args.rows);
  const bool sums = args.dweight != nullptr;
  if (sums) std::fill_n(args.scratch, blocks * args.width, 0.0f);
  base::parallel_for(blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Range rows = {args.rows * i / blocks, args.rows * (i + 1) / blocks};
      const T* type = nullptr;
      typed_loops(type).rmsnorm_backward(args, rows,
                                         sums ? args.scratch + i * args.width : nullptr);
    }
  });
  for (int64_t i = 0; sums && i < blocks; ++i) {
    const float* part = args.scratch + i * args.width;
    for (int64_t c = 0; c < args.width; ++c) args.dweight[c] += part[c];
  }
}

}  // namespace

int64_t rmsnorm_scratch(int64_t rows, int64_t width) {
  return std::min(kBlocks, rows) * width;
}

void rmsnorm(const Rmsnorm<float>& args) {
  forward(args);
}
void rmsnorm(const Rmsnorm<Bf16>& args) {
  forward(args);
}
void rmsnorm_backward(const RmsnormBackward<float>& args) {
  backward(args);
}
void rmsnorm_backward(const RmsnormBackward<Bf16>& args) {
  backward(args);
}

}  // namespace retort::kernels
