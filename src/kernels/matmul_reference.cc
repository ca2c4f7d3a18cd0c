#include "kernels/matmul.h"

namespace retort::kernels {
namespace {

template <class T>
void reference(const MatmulShape& s, const T* a, const T* b, float* c) {
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t j = 0; j < s.n; ++j) {
      double total = s.accumulate ? c[i * s.n + j] : 0;
      for (int64_t k = 0; k < s.k; ++k) {
        const T left = s.product == Product::tn ? a[k * s.m + i] : a[i * s.k + k];
        const T right = s.product == Product::nt ? b[j * s.k + k] : b[k * s.n + j];
        total += static_cast<double>(tensor::to_float(left)) * tensor::to_float(right);
      }
      c[i * s.n + j] = static_cast<float>(total);
    }
  }
}

}  // namespace

void matmul_reference(const MatmulShape& shape, const float* a, const float* b, float* c) {
  reference(shape, a, b, c);
}

void matmul_reference(const MatmulShape& shape, const Bf16* a, const Bf16* b, float* c) {
  reference(shape, a, b, c);
}

}  // namespace retort::kernels
