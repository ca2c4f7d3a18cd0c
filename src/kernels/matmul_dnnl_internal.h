// The product by oneDNN, whose headers stay in matmul_dnnl.cc; matmul_no_dnnl.cc stands in for it
// in builds without.
#pragma once
#include "kernels/matmul.h"

namespace retort::kernels {

void matmul_dnnl(const MatmulShape& shape, const float* a, const float* b, float* c);
void matmul_dnnl(const MatmulShape& shape, const Bf16* a, const Bf16* b, float* c);
void matmul_dnnl(const MatmulShape& shape, const Bf16* a, const Bf16* b, Bf16* c);

}  // namespace retort::kernels
