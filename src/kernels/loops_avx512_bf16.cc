#define RETORT_ISA avx512_bf16
#define RETORT_ISA_TEXT "avx512_bf16"
#define RETORT_LANES 16
#include "kernels/loops_table_internal.h"

namespace retort::kernels {

const Loops* loops_avx512_bf16() {
  return &avx512_bf16::kLoops;
}

}  // namespace retort::kernels
