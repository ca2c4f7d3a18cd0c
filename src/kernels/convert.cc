#include "kernels/convert.h"

#include "base/parallel.h"
#include "kernels/loops_internal.h"

namespace retort::kernels {

void to_bf16(const float* from, Bf16* to, int64_t size) {
  base::parallel_for(size, 1 << 15, [&](int64_t begin, int64_t end) {
    loops().to_bf16(from, to, {begin, end});
  });
}

void to_float(const Bf16* from, float* to, int64_t size) {
  base::parallel_for(size, 1 << 15, [&](int64_t begin, int64_t end) {
    loops().to_float(from, to, {begin, end});
  });
}

}  // namespace retort::kernels
