#define RETORT_ISA avx2
#define RETORT_ISA_TEXT "avx2"
#define RETORT_LANES 8
#include "kernels/loops_table_internal.h"

namespace retort::kernels {

const Loops* loops_avx2() {
  return &avx2::kLoops;
}

}  // namespace retort::kernels
