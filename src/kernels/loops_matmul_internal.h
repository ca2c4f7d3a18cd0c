// The blocked matrix product of one tile (Goto and van de Geijn 2008, "Anatomy of high-performance
// matrix multiplication"): a micro kernel of 6 rows and 2 vectors of columns in registers, blocks
// of A and B packed so that both stay in the second-level cache and a panel of B in the first.
// Lines of C and of the next block of A are fetched while the present ones are multiplied.
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

RETORT_INLINE int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
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

typedef float Quad __attribute__((vector_size(16)));
typedef int32_t QuadIndex __attribute__((vector_size(16)));

RETORT_INLINE Quad load_quad(const float* p) {
  Quad v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
RETORT_INLINE Quad load_quad(const Bf16* p) {
  return Quad{widen_one(p[0]), widen_one(p[1]), widen_one(p[2]), widen_one(p[3])};
}
RETORT_INLINE void store_quad(float* p, Quad v) {
  __builtin_memcpy(p, &v, sizeof v);
}

// Four rows of `k` numbers become columns: to[kk * ld + r] = from[r * stride + kk].
template <class T>
static void transpose_rows(const T* from, int64_t stride, int64_t k, float* to, int64_t ld) {
  int64_t kk = 0;
  for (; kk + 4 <= k; kk += 4) {
    const Quad a = load_quad(from + kk);
    const Quad b = load_quad(from + stride + kk);
    const Quad c = load_quad(from + 2 * stride + kk);
    const Quad d = load_quad(from + 3 * stride + kk);
    const Quad ab_low = __builtin_shuffle(a, b, QuadIndex{0, 4, 1, 5});
    const Quad ab_high = __builtin_shuffle(a, b, QuadIndex{2, 6, 3, 7});
    const Quad cd_low = __builtin_shuffle(c, d, QuadIndex{0, 4, 1, 5});
    const Quad cd_high = __builtin_shuffle(c, d, QuadIndex{2, 6, 3, 7});
    float* at = to + kk * ld;
    store_quad(at, __builtin_shuffle(ab_low, cd_low, QuadIndex{0, 1, 4, 5}));
    store_quad(at + ld, __builtin_shuffle(ab_low, cd_low, QuadIndex{2, 3, 6, 7}));
    store_quad(at + 2 * ld, __builtin_shuffle(ab_high, cd_high, QuadIndex{0, 1, 4, 5}));
    store_quad(at + 3 * ld, __builtin_shuffle(ab_high, cd_high, QuadIndex{2, 3, 6, 7}));
  }
  for (; kk < k; ++kk) {
    for (int64_t r = 0; r < 4; ++r) to[kk * ld + r] = value_of(from[r * stride + kk]);
  }
}

// The same for any number of rows.
template <class T>
static void transpose(int64_t rows, const T* from, int64_t stride, int64_t k, float* to,
                      int64_t ld) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) transpose_rows(from + r * stride, stride, k, to + r, ld);
  // The last four once more rather than two or three alone: they get the same numbers.
  if (r < rows && rows > 4) {
    return transpose_rows(from + (rows - 4) * stride, stride, k, to + rows - 4, ld);
  }
  for (; r < rows; ++r) {
    for (int64_t kk = 0; kk < k; ++kk) to[kk * ld + r] = value_of(from[r * stride + kk]);
  }
}

// Panels of kColumns columns, each [k, kColumns], the last one filled up with zeros.
template <class T>
static void pack_b(const MatmulShape& shape, const T* b, Block block, float* to) {
  for (int64_t j = 0; j < block.size; j += kColumns, to += block.k * kColumns) {
    const int64_t left = block.size - j;
    const int64_t columns = smaller(kColumns, left);
    if (columns < kColumns) __builtin_memset(to, 0, sizeof(float) * block.k * kColumns);
    if (shape.product == Product::nt) {
      const T* from = b + (block.begin + j) * shape.k + block.k_begin;
      transpose(columns, from, shape.k, block.k, to, kColumns);
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
  for (int64_t i = 0; i < block.size; i += kRows) {
    const T* from = a + (block.begin + i) * shape.k + block.k_begin;
    transpose(smaller(kRows, block.size - i), from, shape.k, block.k, to + i * block.k, kRows);
  }
}

// Whether rows of A are contiguous and meet so few columns that packing them would not pay.
RETORT_INLINE bool reads_in_place(const MatmulShape& shape, int64_t columns, const float*) {
  return shape.product != Product::tn && columns < 4 * kColumns;
}
RETORT_INLINE bool reads_in_place(const MatmulShape&, int64_t, const Bf16*) {
  return false;
}
RETORT_INLINE Operand in_place(const MatmulShape& shape, const float* a, int64_t row, int64_t k) {
  return {a + row * shape.k + k, shape.k, 1};
}
RETORT_INLINE Operand in_place(const MatmulShape&, const Bf16*, int64_t, int64_t) {
  return {};
}

// Brings what pack_a will read of a block nearer: one of `parts` equal shares of it.
template <class T>
RETORT_INLINE void fetch_a(const MatmulShape& shape, const T* a, Block block, int64_t part,
                           int64_t parts) {
  constexpr int64_t kLine = 64 / static_cast<int64_t>(sizeof(T));
  const bool transposed = shape.product == Product::tn;
  const int64_t rows = transposed ? block.k : block.size;
  const int64_t length = transposed ? block.size : block.k;
  const int64_t stride = transposed ? shape.m : shape.k;
  const T* from = transposed ? a + block.k_begin * stride + block.begin
                             : a + block.begin * stride + block.k_begin;
  for (int64_t r = rows * part / parts; r < rows * (part + 1) / parts; ++r) {
    for (int64_t x = 0; x < length; x += kLine) __builtin_prefetch(from + r * stride + x, 0, 2);
  }
}

// C (+)= some rows of A times one panel of columns; what of the panel is past the edge is dropped.
static inline void multiply_panel(int64_t rows, int64_t k, Operand a, const float* b, MicroC c,
                                  int64_t width) {
  if (width == kColumns) return micro(rows, k, a, b, kColumns, c);
  float edge[kRows * kColumns];
  micro(rows, k, a, b, kColumns, {edge, kColumns, false});
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t s = 0; s < width; ++s) {
      float& target = c.data[r * c.ld + s];
      target = edge[r * kColumns + s] + (c.accumulate ? target : 0.0f);
    }
  }
}

// A block of rows against a packed block of columns, while the next rows are fetched.
template <class T>
static void multiply_block(const MatmulShape& shape, const T* a, float* c, Block rows, Block next,
                           Block columns, const float* packed_b, float* packed_a) {
  const bool direct = reads_in_place(shape, columns.size, a);
  if (!direct) pack_a(shape, a, rows, packed_a);
  const bool accumulate = shape.accumulate || rows.k_begin > 0;
  const int64_t parts =
      ((rows.size + kRows - 1) / kRows) * ((columns.size + kColumns - 1) / kColumns);
  int64_t part = 0;
  for (int64_t j = 0; j < columns.size; j += kColumns) {
    const int64_t width = smaller(kColumns, columns.size - j);
    for (int64_t i = 0; i < rows.size; i += kRows) {
      const Operand operand = direct ? in_place(shape, a, rows.begin + i, rows.k_begin)
                                     : Operand{packed_a + i * rows.k, 1, kRows};
      float* to = c + (rows.begin + i) * shape.n + columns.begin + j;
      if (next.size > 0) fetch_a(shape, a, next, part++, parts);
      for (int64_t r = kRows; r < 2 * kRows && i + r < rows.size; ++r) {
        __builtin_prefetch(to + r * shape.n, 1);
        __builtin_prefetch(to + r * shape.n + kColumns - 1, 1);
      }
      multiply_panel(smaller(kRows, rows.size - i), rows.k, operand, packed_b + j * rows.k,
                     {to, shape.n, accumulate}, width);
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
        const Block next = {k, k_size, m + kBlockM, smaller(kBlockM, tile.m.end - m - kBlockM)};
        multiply_block(shape, a, c, rows, next, columns, packed_b, packed_a);
      }
    }
  }
}

}  // namespace retort::kernels::RETORT_ISA
