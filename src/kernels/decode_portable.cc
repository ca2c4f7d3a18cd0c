#define RETORT_ISA portable
#define RETORT_ISA_TEXT "portable"
#define RETORT_LANES 4
#include "kernels/decode_body_internal.h"

namespace retort::kernels {

const DecodeLoops* decode_loops_portable() {
  return &portable::kDecodeLoops;
}

}  // namespace retort::kernels
