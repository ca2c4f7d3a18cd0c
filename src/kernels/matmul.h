// Matrix products of row-major, gapless matrices, summed in fp32, on all compute threads:
//   nt   C[m,n] = A[m,k] B[n,k]^T    activations times weights [out, in]
//   nn   C[m,n] = A[m,k] B[k,n]      the gradient of the activations
//   tn   C[m,n] = A[k,m]^T B[k,n]    the gradient of the weights
// or C += with `accumulate`. Inputs are fp32, or bf16 whose products are exact in fp32; then C may
// be of bf16 too: sums rounded once, and never added to. With the same number of threads the result
// repeats bit for bit. Each thread keeps a packing buffer of matmul_scratch_bytes().
//
// Which code runs: matmul_backend() says. oneDNN on processors with AVX-512, else the blocked
// product of this room, which takes bf16 there too; docs/internals/log.md has both measured.
#pragma once
#include <cstdint>

#include "kernels/convert.h"

namespace retort::kernels {

enum class Product { nt, nn, tn };

struct MatmulShape {
  Product product = Product::nt;
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  bool accumulate = false;
};

void matmul(const MatmulShape& shape, const float* a, const float* b, float* c);
void matmul(const MatmulShape& shape, const Bf16* a, const Bf16* b, float* c);
void matmul(const MatmulShape& shape, const Bf16* a, const Bf16* b, Bf16* c);

// The oracle: three loops, summed in double.
void matmul_reference(const MatmulShape& shape, const float* a, const float* b, float* c);
void matmul_reference(const MatmulShape& shape, const Bf16* a, const Bf16* b, float* c);

enum class MatmulBackend { blocked, dnnl };
// Tests and benches choose; the default is the faster one on this processor.
MatmulBackend matmul_backend();
void set_matmul_backend(MatmulBackend backend);
// Whether the build has oneDNN at all, and whether it takes bf16 on this processor.
bool have_dnnl();
bool have_dnnl_bf16();

int64_t matmul_scratch_bytes();

}  // namespace retort::kernels
