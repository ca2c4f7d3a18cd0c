#define RETORT_ISA avx512
#define RETORT_ISA_TEXT "avx512"
#define RETORT_LANES 16
#include "kernels/loops_table_internal.h"

namespace retort::kernels {

const Loops* loops_avx512() {
  return &avx512::kLoops;
}

}  // namespace retort::kernels
