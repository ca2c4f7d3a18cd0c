// What decoding computes for a few rows: products with packed weights, normalisation, rotation,
// attention over a paged cache. Each function does a given part of the work on the calling thread
// and starts none: a step of many such parts runs inside one thread team (base/parallel.h), with a
// barrier where a part needs what another thread made. A row's result depends neither on the number
// of rows nor on how the work is cut, bit for bit. Implementations: AVX-512 with VNNI, AVX2,
// portable; decode_isa() says which one runs.
#pragma once
#include <cstdint>

#include "kernels/packed_matrix.h"
#include "kernels/rope.h"
#include "tensor/half.h"

namespace retort::kernels {

using tensor::Bf16;

// Rows of activations, [rows, width]. Products with quantised weights read codes: x = scale * code
// within a block of 32, sum = scale * (sum of its codes); those with others read values. A block's
// codes of all rows stand together, so that a product walks through them in one line.
struct Rows {
  int64_t rows = 0;
  int64_t width = 0;
  float* values = nullptr;
  int8_t* codes = nullptr;  // [width / 32, rows, 32]
  float* scales = nullptr;  // [width / 32, rows]
  float* sums = nullptr;    // [width / 32, rows]
  // [width / 32, rows, 2]: of the first 16 inputs of a block and of the others. Null where no
  // format with factors of 16 inputs will read it.
  float* half_sums = nullptr;
};

// Codes of columns [begin, end) of one row, multiples of 32, from its values.
void quantise_row(const Rows& rows, int64_t row, int64_t begin, int64_t end);

// y[r, o] (+)= sum_i x[r, i] W[o, i] for the outputs of tiles [first, last); ld_y floats a row of
// y.
struct RowProduct {
  const PackedMatrix* weights = nullptr;
  Rows x;
  float* y = nullptr;
  int64_t ld_y = 0;
  bool accumulate = false;
};
void row_product(const RowProduct& product, int64_t first_tile, int64_t last_tile);

// Asks for the beginning of what a thread will stream next, so that it comes while the thread
// waits.
inline void prefetch(const uint8_t* from, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += 64) __builtin_prefetch(from + at, 0, 2);
}

// y = x / sqrt(mean(x^2) + eps) * weight, one row.
struct NormRow {
  int64_t width = 0;
  float eps = 0;
  const float* x = nullptr;
  const float* weight = nullptr;
  float* y = nullptr;
};
void norm_row(const NormRow& args);

// act = silu(gate) * up over `count` elements.
void swiglu_part(const float* gate, const float* up, float* act, int64_t count);

// One key-value head of one layer of one sequence, in pages of 16 positions: keys [D][16], then
// values [16][D], in bf16 or fp32. Unwritten places hold finite numbers.
constexpr int64_t kPagePositions = 16;
struct PagedHead {
  Bf16* bf16 = nullptr;     // of this layer and head in page 0; either this one
  float* f32 = nullptr;     // or this one
  int64_t page_stride = 0;  // elements from page to page
  const int32_t* pages = nullptr;
  int64_t head_dim = 0;
};
// Key and value of one position, the key already turned.
void store_position(const PagedHead& head, int64_t position, const float* key, const float* value);

// Turns one head's row at a position, in place.
void turn_row(const RopeTable& table, int64_t position, float* x);

// softmax(q k^T / sqrt(D)) v for `tokens` neighbouring positions and the `group` query heads that
// share the key-value head: token i sees positions 0 .. first_position + i.
struct PagedAttention {
  PagedHead head;
  int64_t first_position = 0;
  int64_t tokens = 0;
  int64_t group = 0;
  const float* q = nullptr;  // token i, head g at q + i * ld_q + g * D
  int64_t ld_q = 0;
  float* out = nullptr;  // likewise
  int64_t ld_out = 0;
  float* scratch = nullptr;  // paged_attention_scratch() floats
};
constexpr int64_t kAttentionRows = 12;  // query rows held at once
int64_t paged_attention_scratch(int64_t positions);
void paged_attention(const PagedAttention& args);

// Over a row of logits.
float row_maximum(const float* x, int64_t count);
// sum of exp((x - shift) * scale)
float row_sum_exp(const float* x, int64_t count, float shift, float scale);

// "avx512_vnni", "avx2", "portable".
const char* decode_isa();

}  // namespace retort::kernels
