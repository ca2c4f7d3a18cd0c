#include "base/check.h"
#include "kernels/matmul_dnnl_internal.h"

namespace retort::kernels {

bool have_dnnl() {
  return false;
}
bool have_dnnl_bf16() {
  return false;
}

void matmul_dnnl(const MatmulShape&, const float*, const float*, float*) {
  RETORT_CHECK(have_dnnl(), "this build has no oneDNN");
}

void matmul_dnnl(const MatmulShape&, const Bf16*, const Bf16*, float*) {
  RETORT_CHECK(have_dnnl(), "this build has no oneDNN");
}

void matmul_dnnl(const MatmulShape&, const Bf16*, const Bf16*, Bf16*) {
  RETORT_CHECK(have_dnnl(), "this build has no oneDNN");
}

}  // namespace retort::kernels
