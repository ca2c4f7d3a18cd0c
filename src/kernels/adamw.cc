#include "kernels/adamw.h"

#include "base/check.h"
#include "base/parallel.h"
#include "kernels/loops_internal.h"

namespace retort::kernels {

void adamw_step(const AdamW& options, const AdamWState& state) {
  RETORT_CHECK(options.step >= 1, "step {}", options.step);
  base::parallel_for(state.size, 1 << 14, [&](int64_t begin, int64_t end) {
    loops().adamw(options, state, {begin, end});
  });
}

}  // namespace retort::kernels
