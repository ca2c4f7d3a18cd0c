// The decoding loops of one instruction set. See loops_internal.h for what code in the files that
// are compiled for one may not do.
#pragma once
#include "kernels/decode.h"

namespace retort::kernels {

struct DecodeLoops {
  void (*quantise_row)(const Rows&, int64_t row, int64_t begin, int64_t end);
  void (*row_product)(const RowProduct&, int64_t first_tile, int64_t last_tile);
  void (*norm_row)(const NormRow&);
  void (*swiglu_part)(const float*, const float*, float*, int64_t);
  void (*paged_attention)(const PagedAttention&);
  float (*row_maximum)(const float*, int64_t);
  float (*row_sum_exp)(const float*, int64_t, float shift, float scale);
  const char* name;
};

const DecodeLoops& decode_loops();
// For tests; null where the processor has not got it.
const DecodeLoops* decode_loops_portable();
const DecodeLoops* decode_loops_avx2();
const DecodeLoops* decode_loops_avx512();

}  // namespace retort::kernels
