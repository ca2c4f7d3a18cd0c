// Arrays of fp32 to bfloat16 (nearest, ties to even) and back, on all compute threads.
#pragma once
#include <cstdint>

#include "tensor/half.h"

namespace retort::kernels {

using tensor::Bf16;

void to_bf16(const float* from, Bf16* to, int64_t size);
void to_float(const Bf16* from, float* to, int64_t size);

}  // namespace retort::kernels
