#define RETORT_ISA avx2
#define RETORT_ISA_TEXT "avx2"
#define RETORT_LANES 8
#include "kernels/decode_body_internal.h"

namespace retort::kernels {

const DecodeLoops* decode_loops_avx2() {
  return &avx2::kDecodeLoops;
}

}  // namespace retort::kernels
