#define RETORT_ISA avx512
#define RETORT_ISA_TEXT "avx512_vnni"
#define RETORT_LANES 16
#include "kernels/decode_body_internal.h"

namespace retort::kernels {

const DecodeLoops* decode_loops_avx512() {
  return &avx512::kDecodeLoops;
}

}  // namespace retort::kernels
