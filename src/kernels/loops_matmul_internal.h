// The blocked matrix product of one tile (Goto and van de Geijn 2008, "Anatomy of high-performance
// matrix multiplication"): a micro kernel of 6 rows and 2 vectors of columns in registers, B packed
// into column panels, A read in place where its rows are contiguous, else packed too.
#pragma once
#include "kernels/loops_internal.h"
#include "kernels/simd_internal.h"

namespace retort::kernels::RETORT_ISA {

constexpr int64_t kRows = 6;
constexpr int64_t kColumns = 2 * kLanes;
static_assert(kTileColumns % kColumns == 0 && kTileRows % kRows == 0);
static_assert(kBlockN % kColumns == 0 && kBlockM % kRows == 0);

// Element (i, k) at data[i * row + k * column].
struct Operand {
  const float* data;
  int64_t row;
  int64_t column;
};

// C[R, kColumns] (+)= A[R, k] B[k, kColumns]; rows of B are ldb apart, of C ldc.
template <int R>
RETORT_INLINE void micro_rows(int64_t k, Operand a, const float* b, int64_t ldb, float* c,
                              int64_t ldc, bool accumulate) {
  V sums[R][2];
  for (int i = 0; i < R; ++i) {
    sums[i][0] = accumulate ? load(c + i * ldc) : V{};
    sums[i][1] = accumulate ? load(c + i * ldc + kLanes) : V{};
  }
  const float* column = a.data;
  for (int64_t kk = 0; kk < k; ++kk) {
    const V b0 = load(b);
    const V b1 = load(b + kLanes);
#pragma GCC unroll 6
    for (int i = 0; i < R; ++i) {
      const V value = splat(column[i * a.row]);
      sums[i][0] += value * b0;
      sums[i][1] += value * b1;
    }
    column += a.column;
    b += ldb;
  }
  for (int i = 0; i < R; ++i) {
    store(c + i * ldc, sums[i][0]);
    store(c + i * ldc + kLanes, sums[i][1]);
  }
}

struct MicroC {
  float* data;
  int64_t ld;
  bool accumulate;
};

static inline void micro(int64_t rows, int64_t k, Operand a, const float* b, int64_t ldb,
                         MicroC c) {
  switch (rows) {
    case 6:
      return micro_rows<6>(k, a, b, ldb, c.data, c.ld, c.accumulate);
    case 5:
      return micro_rows<5>(k, a, b, ldb, c.data, c.ld, c.accumulate);
    case 4:
      return micro_rows<4>(k, a, b, ldb, c.data, c.ld, c.accumulate);
    case 3:
      return micro_rows<3>(k, a, b, ldb, c.data, c.ld, c.accumulate);
    case 2:
      return micro_rows<2>(k, a, b, ldb, c.data, c.ld, c.accumulate);
    default:
      return micro_rows<1>(k, a, b, ldb, c.data, c.ld, c.accumulate);
  }
}

RETORT_INLINE float value_of(float v) {
  return v;
}
RETORT_INLINE float value_of(Bf16 v) {
  return widen_one(v);
}

struct Block {
  int64_t k_begin;
  int64_t k;
  int64_t begin;  // first column of B or row of A
  int64_t size;
};

// Panels of kColumns columns, each [k, kColumns], the last one filled up with zeros.
template <class T>
static void pack_b(const MatmulShape& shape, const T* b, Block block, float* to) {
  for (int64_t j = 0; j < block.size; j += kColumns, to += block.k * kColumns) {
    const int64_t left = block.size - j;
    const int64_t columns = left < kColumns ? left : kColumns;
    if (columns < kColumns) __builtin_memset(to, 0, sizeof(float) * block.k * kColumns);
    if (shape.product == Product::nt) {
      for (int64_t c = 0; c < columns; ++c) {
        const T* from = b + (block.begin + j + c) * shape.k + block.k_begin;
        for (int64_t kk = 0; kk < block.k; ++kk) to[kk * kColumns + c] = value_of(from[kk]);
      }
    } else {
      const T* from = b + block.k_begin * shape.n + block.begin + j;
      for (int64_t kk = 0; kk < block.k; ++kk, from += shape.n) {
        if (columns == kColumns) {
          store(to + kk * kColumns, load(from));
          store(to + kk * kColumns + kLanes, load(from + kLanes));
        } else {
          for (int64_t c = 0; c < columns; ++c) to[kk * kColumns + c] = value_of(from[c]);
        }
      }
    }
  }
}

// Panels of kRows rows, each [k, kRows].
template <class T>
static void pack_a(const MatmulShape& shape, const T* a, Block block, float* to) {
  if (shape.product == Product::tn) {
    for (int64_t kk = 0; kk < block.k; ++kk) {
      const T* from = a + (block.k_begin + kk) * shape.m + block.begin;
      float* row = to + kk * kRows;
      int64_t i = 0;
      for (; i + kRows <= block.size; i += kRows, row += block.k * kRows) {
#pragma GCC unroll 6
        for (int r = 0; r < kRows; ++r) row[r] = value_of(from[i + r]);
      }
      for (int64_t r = 0; i + r < block.size; ++r) row[r] = value_of(from[i + r]);
    }
    return;
  }
  for (int64_t i = 0; i < block.size; ++i) {
    const T* from = a + (block.begin + i) * shape.k + block.k_begin;
    float* row = to + (i / kRows) * block.k * kRows + i % kRows;
    for (int64_t kk = 0; kk < block.k; ++kk) row[kk * kRows] = value_of(from[kk]);
  }
}

RETORT_INLINE int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}
RETORT_INLINE bool reads_in_place(const MatmulShape& shape, const float*) {
  return shape.product != Product::tn;
}
RETORT_INLINE bool reads_in_place(const MatmulShape&, const Bf16*) {
  return false;
}
RETORT_INLINE Operand in_place(const MatmulShape& shape, const float* a, int64_t row, int64_t k) {
  return {a + row * shape.k + k, shape.k, 1};
}
RETORT_INLINE Operand in_place(const MatmulShape&, const Bf16*, int64_t, int64_t) {
  return {};
}

// One block of columns against one block of rows.
template <class T>
static void multiply_block(const MatmulShape& shape, const T* a, float* c, Block rows,
                           Block columns, const float* packed_a, const float* packed_b) {
  const bool direct = reads_in_place(shape, a);
  const bool accumulate = shape.accumulate || rows.k_begin > 0;
  for (int64_t j = 0; j < columns.size; j += kColumns) {
    const float* b = packed_b + j * rows.k;
    const int64_t width = smaller(kColumns, columns.size - j);
    for (int64_t i = 0; i < rows.size; i += kRows) {
      const int64_t height = smaller(kRows, rows.size - i);
      const Operand operand = direct ? in_place(shape, a, rows.begin + i, rows.k_begin)
                                     : Operand{packed_a + i * rows.k, 1, kRows};
      float* to = c + (rows.begin + i) * shape.n + columns.begin + j;
      if (width == kColumns) {
        micro(height, rows.k, operand, b, kColumns, {to, shape.n, accumulate});
        continue;
      }
      float edge[kRows * kColumns];
      micro(height, rows.k, operand, b, kColumns, {edge, kColumns, false});
      for (int64_t r = 0; r < height; ++r) {
        for (int64_t s = 0; s < width; ++s) {
          float& target = to[r * shape.n + s];
          target = edge[r * kColumns + s] + (accumulate ? target : 0.0f);
        }
      }
    }
  }
}

template <class T>
static void matmul_tile(const MatmulShape& shape, const T* a, const T* b, float* c, Tile tile,
                        float* scratch) {
  float* packed_b = scratch;
  float* packed_a = scratch + kBlockK * kBlockN;
  for (int64_t n = tile.n.begin; n < tile.n.end; n += kBlockN) {
    const int64_t n_size = smaller(kBlockN, tile.n.end - n);
    for (int64_t k = 0; k < shape.k; k += kBlockK) {
      const int64_t k_size = smaller(kBlockK, shape.k - k);
      const Block columns = {k, k_size, n, n_size};
      pack_b(shape, b, columns, packed_b);
      for (int64_t m = tile.m.begin; m < tile.m.end; m += kBlockM) {
        const Block rows = {k, k_size, m, smaller(kBlockM, tile.m.end - m)};
        if (!reads_in_place(shape, a)) pack_a(shape, a, rows, packed_a);
        multiply_block(shape, a, c, rows, columns, packed_a, packed_b);
      }
    }
  }
}

}  // namespace retort::kernels::RETORT_ISA
