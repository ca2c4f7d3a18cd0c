#include "base/cpu.h"
#include "kernels/loops_internal.h"

namespace retort::kernels {

const Loops& loops() {
  static const Loops& chosen = base::cpu_features().avx512_bf16 ? *loops_avx512_bf16()
                               : base::cpu_features().avx512    ? *loops_avx512()
                               : base::cpu_features().avx2      ? *loops_avx2()
                                                                : *loops_portable();
  return chosen;
}

}  // namespace retort::kernels
