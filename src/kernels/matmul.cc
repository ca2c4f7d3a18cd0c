#include "kernels/matmul.h"

#include <algorithm>

#include "base/check.h"
#include "base/cpu.h"
#include "base/parallel.h"
#include "kernels/loops_internal.h"
#include "kernels/matmul_dnnl_internal.h"
#include "tensor/buffer.h"

namespace retort::kernels {
namespace {

int64_t pieces_of(int64_t n, int64_t piece) {
  return (n + piece - 1) / piece;
}

// How many threads share the rows of C, the others its columns: the split with the least work for
// the busiest, where packing an element costs about as much as 8 products.
int64_t row_parts(const MatmulShape& shape, int64_t threads) {
  int64_t best = threads;
  int64_t best_cost = INT64_MAX;
  for (int64_t parts = 1; parts <= threads; ++parts) {
    if (threads % parts != 0) continue;
    const int64_t other = threads / parts;
    const int64_t rows = pieces_of(pieces_of(shape.m, kTileRows), parts) * kTileRows;
    const int64_t columns = pieces_of(pieces_of(shape.n, kTileColumns), other) * kTileColumns;
    const int64_t cost = rows * columns + 8 * (columns + rows);
    if (cost < best_cost) {
      best = parts;
      best_cost = cost;
    }
  }
  return best;
}

Range share(int64_t n, int64_t piece, int64_t part, int64_t parts) {
  const int64_t pieces = pieces_of(n, piece);
  return {std::min(n, pieces * part / parts * piece),
          std::min(n, pieces * (part + 1) / parts * piece)};
}

float* packing_buffer() {
  static thread_local tensor::Buffer<float> buffer(kMatmulScratch);
  return buffer.data();
}

template <class T>
void matmul_blocked(const MatmulShape& shape, const T* a, const T* b, float* c) {
  const int64_t threads = base::thread_count();
  const int64_t across = row_parts(shape, threads);
  const int64_t down = threads / across;
  base::parallel_for(threads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Tile tile = {share(shape.m, kTileRows, i / down, across),
                         share(shape.n, kTileColumns, i % down, down)};
      if (tile.m.begin == tile.m.end || tile.n.begin == tile.n.end) continue;
      typed_loops(a).matmul(shape, a, b, c, tile, packing_buffer());
    }
  });
}

MatmulBackend fastest() {
  return have_dnnl() && base::cpu_features().avx512 ? MatmulBackend::dnnl : MatmulBackend::blocked;
}

MatmulBackend& backend() {
  static MatmulBackend chosen = fastest();
  return chosen;
}

template <class T>
bool check_and_fill(const MatmulShape& shape, T* c) {
  RETORT_CHECK(shape.m >= 0 && shape.n >= 0 && shape.k >= 0, "{} {} {}", shape.m, shape.n, shape.k);
  if (shape.k == 0 && !shape.accumulate) std::fill_n(c, shape.m * shape.n, T{});
  return shape.m > 0 && shape.n > 0 && shape.k > 0;
}

}  // namespace

MatmulBackend matmul_backend() {
  return backend();
}

void set_matmul_backend(MatmulBackend chosen) {
  RETORT_CHECK(chosen == MatmulBackend::blocked || have_dnnl());
  backend() = chosen;
}

int64_t matmul_scratch_bytes() {
  return kMatmulScratch * static_cast<int64_t>(sizeof(float));
}

void matmul(const MatmulShape& shape, const float* a, const float* b, float* c) {
  if (!check_and_fill(shape, c)) return;
  if (backend() == MatmulBackend::dnnl) return matmul_dnnl(shape, a, b, c);
  matmul_blocked(shape, a, b, c);
}

void matmul(const MatmulShape& shape, const Bf16* a, const Bf16* b, float* c) {
  if (!check_and_fill(shape, c)) return;
  if (backend() == MatmulBackend::dnnl && have_dnnl_bf16()) return matmul_dnnl(shape, a, b, c);
  matmul_blocked(shape, a, b, c);
}

void matmul(const MatmulShape& shape, const Bf16* a, const Bf16* b, Bf16* c) {
  RETORT_CHECK(!shape.accumulate);
  if (!check_and_fill(shape, c)) return;
  if (backend() == MatmulBackend::dnnl && have_dnnl_bf16()) return matmul_dnnl(shape, a, b, c);
  tensor::Buffer<float> sums(shape.m * shape.n);
  matmul_blocked(shape, a, b, sums.data());
  to_bf16(sums.data(), c, shape.m * shape.n);
}

}  // namespace retort::kernels
