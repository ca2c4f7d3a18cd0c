#define RETORT_ISA portable
#define RETORT_ISA_TEXT "portable"
#define RETORT_LANES 4
#include "kernels/loops_table_internal.h"

namespace retort::kernels {

const Loops* loops_portable() {
  return &portable::kLoops;
}

}  // namespace retort::kernels
