// Attention of one (document, kv head) pair by bf16 dot products (AVX-512-bf16), which take two
// elements of the summed dimension at once: a word is two neighbours of it. Products of bf16 are
// exact in fp32 and sums are fp32; what is rounded to bf16 on the way are the turned queries and
// keys, the probabilities and the gradients of the scores.
#pragma once
#include "kernels/loops_attention_internal.h"

namespace retort::kernels::RETORT_ISA {

typedef __m512i Words;
constexpr int64_t kTileQueries = 12;  // query rows at once
constexpr float kLog2e = 1.44269504088896341f;
constexpr float kLn2 = 0.693147180559945309f;

RETORT_INLINE __mmask16 lanes_below(int64_t end, int64_t j) {
  const int64_t left = end - j;
  return static_cast<__mmask16>(left >= 16 ? 0xffff : left <= 0 ? 0 : (1 << left) - 1);
}

// 2^x within 3e-6 of it for x up to 127, 0 for very negative x.
RETORT_INLINE __m512 power_of_two(__m512 x) {
  const __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 f = _mm512_sub_ps(x, n);
  __m512 p = _mm512_set1_ps(0.00957010128f);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.0559178591f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.240247443f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.693121791f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.999999285f));
  return _mm512_scalef_ps(p, n);
}

// Words of A: that of row i and step k at data[i * row + k * step].
struct WordsOf {
  const Bf16* data;
  int64_t row;  // in words
  int64_t step;
};
RETORT_INLINE Words word(const Bf16* p) {
  int32_t bits;
  __builtin_memcpy(&bits, p, sizeof bits);
  return _mm512_set1_epi32(bits);
}

// C[R, 16 N] (+)= A B over k words; rows of B, of 16 words or more, are ldb words apart.
template <int R, int N>
RETORT_INLINE void dots(int64_t k, WordsOf a, const Bf16* b, int64_t ldb, MicroC c) {
  __m512 sums[R][N];
  for (int i = 0; i < R; ++i) {
    for (int j = 0; j < N; ++j) {
      sums[i][j] = c.accumulate ? _mm512_loadu_ps(c.data + i * c.ld + 16 * j) : _mm512_setzero_ps();
    }
  }
  for (int64_t kk = 0; kk < k; ++kk) {
    Words columns[N];
    for (int j = 0; j < N; ++j) columns[j] = _mm512_loadu_si512(b + 32 * j);
#pragma GCC unroll 12
    for (int i = 0; i < R; ++i) {
      const Words value = word(a.data + 2 * i * a.row);
      for (int j = 0; j < N; ++j) {
        sums[i][j] = _mm512_dpbf16_ps(sums[i][j], (__m512bh)value, (__m512bh)columns[j]);
      }
    }
    a.data += 2 * a.step;
    b += 2 * ldb;
  }
  for (int i = 0; i < R; ++i) {
    for (int j = 0; j < N; ++j) _mm512_storeu_ps(c.data + i * c.ld + 16 * j, sums[i][j]);
  }
}

// C[12, 16 vectors] (+)= A B, all twelve rows whether they are of use or not.
static void dots_tile(int64_t vectors, int64_t k, WordsOf a, const Bf16* b, int64_t ldb, MicroC c) {
  const WordsOf lower{a.data + 12 * a.row, a.row, a.step};
  for (int64_t j = 0; j < vectors; j += 4) {
    const Bf16* columns = b + 32 * j;
    const MicroC to{c.data + 16 * j, c.ld, c.accumulate};
    const MicroC below{to.data + 6 * c.ld, c.ld, c.accumulate};
    switch (smaller(4, vectors - j)) {
      case 1:
        dots<12, 1>(k, a, columns, ldb, to);
        break;
      case 2:
        dots<12, 2>(k, a, columns, ldb, to);
        break;
      case 3:
        dots<6, 3>(k, a, columns, ldb, to);
        dots<6, 3>(k, lower, columns, ldb, below);
        break;
      default:
        dots<6, 4>(k, a, columns, ldb, to);
        dots<6, 4>(k, lower, columns, ldb, below);
    }
  }
}

// Sixteen rows of sixteen words become columns.
RETORT_INLINE void transpose(Words r[16]) {
  Words t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
  for (int i = 0; i < 8; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
  }
}

// What one pair's packed matrices look like, in bf16 elements. Behind the last token of a row of
// `columns` lies room for a tile and a vector more.
struct Packing {
  int64_t dim;      // D
  int64_t length;   // T
  int64_t width;    // D in whole vectors
  int64_t columns;  // T likewise, and more
};

// [T, D] rows, `stride` apart, to [D / 2, columns] words, for products over D.
static void pack_columns(const Packing& p, const Bf16* rows, int64_t stride, Bf16* to) {
  const int64_t words = p.dim / 2;
  for (int64_t t = 0; t < p.length; t += 16) {
    for (int64_t w = 0; w < words; w += 16) {
      const __mmask16 lanes = lanes_below(words, w);
      Words block[16];
      for (int64_t i = 0; i < 16; ++i) {
        block[i] = t + i < p.length
                       ? _mm512_maskz_loadu_epi32(lanes, rows + (t + i) * stride + 2 * w)
                       : _mm512_setzero_si512();
      }
      transpose(block);
      const int64_t count = smaller(16, words - w);
      for (int64_t i = 0; i < count; ++i) {
        _mm512_storeu_si512(to + 2 * ((w + i) * p.columns + t), block[i]);
      }
    }
  }
}

RETORT_INLINE Words interleaved(__m512i low_then_high) {
  alignas(64) static constexpr uint16_t kOrder[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                      21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                      11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return _mm512_permutexvar_epi16(_mm512_load_si512(kOrder), low_then_high);
}

// [rows, D] rows to [rows / 2, width] words, for products over the rows; an odd one meets zeros.
static void pack_rows(const Packing& p, int64_t rows, const Bf16* from, int64_t stride, Bf16* to) {
  for (int64_t t = 0; t < rows; t += 2) {
    const Bf16* first = from + t * stride;
    for (int64_t d = 0; d < p.dim; d += 16) {
      const __mmask16 lanes = lanes_below(p.dim, d);
      const __mmask16 second = t + 1 < rows ? lanes : static_cast<__mmask16>(0);
      const __m256i a = _mm256_maskz_loadu_epi16(lanes, first + d);
      const __m256i b = _mm256_maskz_loadu_epi16(second, first + stride + d);
      _mm512_storeu_si512(to + 2 * (t / 2 * p.width + d),
                          interleaved(_mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1)));
    }
  }
}

// Hands out pieces of a thread's scratch, each of whole cache lines.
struct Scratch {
  float* next;
  float* floats(int64_t count) {
    float* piece = next;
    next += rounded(count, 16);
    return piece;
  }
  Bf16* halves(int64_t count) { return reinterpret_cast<Bf16*>(floats((count + 1) / 2)); }
};

RETORT_INLINE Packing packing_of(const AttentionShape& shape, AttentionTask task) {
  return {shape.head_dim, task.length, rounded(shape.head_dim, 16), rounded(task.length, 16) + 32};
}

// Turned rows [T, D] of the document's keys.
static void turn_keys(const Pair& pair, const Packing& p, const Bf16* qkv, Bf16* to) {
  const int64_t stride = row_width(*pair.shape);
  const Bf16* keys =
      qkv + pair.task.first * stride + (pair.shape->heads + pair.task.kv_head) * pair.dim;
  for (int64_t t = 0; t < p.length; ++t) turn(pair, t, keys + t * stride, 1.0f, to + t * p.width);
}

// A row of scores becomes probabilities times their sum, rounded; zeros from `valid` up to `end`.
RETORT_INLINE SoftmaxRow softmax_halves(const float* scores, Bf16* probs, int64_t valid,
                                        int64_t end) {
  __m512 highest = _mm512_set1_ps(kMasked);
  for (int64_t j = 0; j < valid; j += 16) {
    highest =
        _mm512_mask_max_ps(highest, lanes_below(valid, j), highest, _mm512_loadu_ps(scores + j));
  }
  const float top = _mm512_reduce_max_ps(highest);
  const __m512 shift = _mm512_set1_ps(top);
  __m512 totals = _mm512_setzero_ps();
  int64_t j = 0;
  for (; j < valid; j += 16) {
    const __m512 value = _mm512_maskz_mov_ps(
        lanes_below(valid, j), power_of_two(_mm512_sub_ps(_mm512_loadu_ps(scores + j), shift)));
    totals = _mm512_add_ps(totals, value);
    _mm256_storeu_si256((__m256i*)(probs + j), (__m256i)_mm512_cvtneps_pbh(value));
  }
  for (; j < end; j += 16) _mm256_storeu_si256((__m256i*)(probs + j), _mm256_setzero_si256());
  return {_mm512_reduce_add_ps(totals), top};
}

static void attention_pair_bf16(const Attention<Bf16>& args, AttentionTask task, float* scratch) {
  const AttentionShape& shape = args.shape;
  const Pair pair = pair_of(shape, task);
  const Packing p = packing_of(shape, task);
  Scratch room{scratch};
  Bf16* keys = room.halves(p.dim * p.columns);
  Bf16* values = room.halves((p.length + 1) * p.width);
  Bf16* rows = room.halves(p.length * p.width);
  Bf16* queries = room.halves(kTileQueries * p.width);
  float* scores = room.floats(kTileQueries * p.columns);
  Bf16* probs = room.halves(kTileQueries * p.columns);
  float* outs = room.floats(kTileQueries * p.width);
  const int64_t stride = row_width(shape);
  turn_keys(pair, p, args.qkv, rows);
  pack_columns(p, rows, p.width, keys);
  pack_rows(p, p.length, values_of(pair, args.qkv), stride, values);
  const int64_t group = shape.heads / shape.kv_heads;
  for (int64_t head = task.kv_head * group; head < (task.kv_head + 1) * group; ++head) {
    for (int64_t q = 0; q < p.length; q += kTileQueries) {
      const int64_t height = smaller(kTileQueries, p.length - q);
      const int64_t end = q + height;
      for (int64_t i = 0; i < height; ++i) {
        turn(pair, q + i, args.qkv + (task.first + q + i) * stride + head * pair.dim,
             pair.scale * kLog2e, queries + i * p.width);
      }
      dots_tile(rounded(end, 16) / 16, p.dim / 2, {queries, p.width / 2, 1}, keys, p.columns,
                {scores, p.columns, false});
      SoftmaxRow softmax[kTileQueries];
      for (int64_t i = 0; i < height; ++i) {
        softmax[i] = softmax_halves(scores + i * p.columns, probs + i * p.columns, q + i + 1, end);
      }
      dots_tile(p.width / 16, (end + 1) / 2, {probs, p.columns / 2, 1}, values, p.width,
                {outs, p.width, false});
      for (int64_t i = 0; i < height; ++i) {
        const int64_t token = task.first + q + i;
        Bf16* to = args.out + (token * shape.heads + head) * pair.dim;
        const float* out = outs + i * p.width;
        const float inverse = 1.0f / softmax[i].sum;
        each(pair.dim,
             [&](int64_t d, auto part) { store(to + d, load(out + d, part) * inverse, part); });
        args.lse[token * shape.heads + head] =
            softmax[i].top * kLn2 + __builtin_logf(softmax[i].sum);
      }
    }
  }
}

// The buffers of backward: of the pair, of a block of queries, of a tile of them.
struct HalfBuffers {
  Bf16 *key_columns, *value_columns, *key_rows, *turned;
  float *dkeys, *dvalues;              // [T + a tile, width]
  Bf16 *queries, *query_rows, *douts;  // [kQueryBlock, width], the last two as words over rows
  Bf16 *probs, *dscores;               // [kQueryBlock / 2, columns] words
  float *tile_probs, *tile_dscores;    // [kTileQueries, columns]
  Bf16* tile_halves;                   // [kTileQueries, columns]
  float* dqueries;                     // [kTileQueries, width]
};

static HalfBuffers lay_out_halves(const Packing& p, float* scratch) {
  Scratch room{scratch};
  HalfBuffers b;
  b.key_columns = room.halves(p.dim * p.columns);
  b.value_columns = room.halves(p.dim * p.columns);
  b.key_rows = room.halves((p.length + 1) * p.width);
  b.turned = room.halves(p.length * p.width);
  b.dkeys = room.floats((p.length + kTileQueries) * p.width);
  b.dvalues = room.floats((p.length + kTileQueries) * p.width);
  b.queries = room.halves(kQueryBlock * p.width);
  b.query_rows = room.halves(kQueryBlock * p.width);
  b.douts = room.halves(kQueryBlock * p.width);
  b.probs = room.halves(kQueryBlock * p.columns);
  b.dscores = room.halves(kQueryBlock * p.columns);
  b.tile_probs = room.floats(kTileQueries * p.columns);
  b.tile_dscores = room.floats(kTileQueries * p.columns);
  b.tile_halves = room.halves(kTileQueries * p.columns);
  b.dqueries = room.floats(kTileQueries * p.width);
  return b;
}

// Scores of `valid` keys become probabilities, in place; returns their sum with dprobs as weights.
RETORT_INLINE float softmax_again(float* scores, const float* dprobs, float lse, int64_t valid) {
  const __m512 shift = _mm512_set1_ps(lse * kLog2e);
  __m512 dots = _mm512_setzero_ps();
  for (int64_t j = 0; j < valid; j += 16) {
    const __mmask16 lanes = lanes_below(valid, j);
    const __m512 value =
        _mm512_maskz_mov_ps(lanes, power_of_two(_mm512_sub_ps(_mm512_loadu_ps(scores + j), shift)));
    dots = _mm512_mask3_fmadd_ps(value, _mm512_loadu_ps(dprobs + j), dots, lanes);
    _mm512_storeu_ps(scores + j, value);
  }
  return _mm512_reduce_add_ps(dots);
}

// Two query rows of a tile, of which the second may be missing, and where their results go.
struct RowPair {
  const float *probs, *dprobs;  // the first row's
  int64_t stride;
  int64_t valid;  // keys that the first row sees
  bool both;
  float dots[2];
  Bf16* dscores;     // rows of the tile
  Bf16* prob_words;  // of the block
  Bf16* dscore_words;
};
RETORT_INLINE void round_pair(const RowPair& r) {
  const int64_t second_valid = r.both ? r.valid + 1 : 0;
  const __m512 dot0 = _mm512_set1_ps(r.dots[0]);
  const __m512 dot1 = _mm512_set1_ps(r.dots[1]);
  const int64_t end = rounded(r.valid + kTileQueries + 1, 16);  // as far as a tile of keys reads
  for (int64_t j = 0; j < end; j += 16) {
    const __mmask16 first = lanes_below(r.valid, j);
    const __mmask16 second = lanes_below(second_valid, j);
    const __m512 p0 = _mm512_maskz_loadu_ps(first, r.probs + j);
    const __m512 p1 = _mm512_maskz_loadu_ps(second, r.probs + r.stride + j);
    const __m512 d0 =
        _mm512_mul_ps(p0, _mm512_sub_ps(_mm512_maskz_loadu_ps(first, r.dprobs + j), dot0));
    const __m512 d1 = _mm512_mul_ps(
        p1, _mm512_sub_ps(_mm512_maskz_loadu_ps(second, r.dprobs + r.stride + j), dot1));
    const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh(d1, d0);
    _mm256_storeu_si256((__m256i*)(r.dscores + j), _mm512_castsi512_si256(halves));
    _mm256_storeu_si256((__m256i*)(r.dscores + r.stride + j), _mm512_extracti64x4_epi64(halves, 1));
    _mm512_storeu_si512(r.dscore_words + 2 * j, interleaved(halves));
    _mm512_storeu_si512(r.prob_words + 2 * j, interleaved((__m512i)_mm512_cvtne2ps_pbh(p1, p0)));
  }
}

static void tile_backward(const AttentionBackward<Bf16>& args, const Pair& pair, const Packing& p,
                          QueryBlock block, int64_t first, const HalfBuffers& b) {
  const AttentionShape& shape = args.shape;
  const int64_t height = smaller(kTileQueries, block.rows - first);
  const int64_t position = block.begin + first;
  const int64_t seen = position + height;
  const int64_t token = pair.task.first + position;
  const int64_t vectors = rounded(seen, 16) / 16;
  dots_tile(vectors, p.dim / 2, {b.queries + first * p.width, p.width / 2, 1}, b.key_columns,
            p.columns, {b.tile_probs, p.columns, false});
  const Bf16* dout = args.dout + (token * shape.heads + block.head) * p.dim;
  if (height == kTileQueries) {
    dots_tile(vectors, p.dim / 2, {dout, shape.heads * p.dim / 2, 1}, b.value_columns, p.columns,
              {b.tile_dscores, p.columns, false});
  } else {
    for (int64_t i = 0; i < height; ++i) {
      __builtin_memcpy(b.tile_halves + i * p.width, dout + i * shape.heads * p.dim,
                       sizeof(Bf16) * static_cast<uint64_t>(p.dim));
    }
    dots_tile(vectors, p.dim / 2, {b.tile_halves, p.width / 2, 1}, b.value_columns, p.columns,
              {b.tile_dscores, p.columns, false});
  }
  for (int64_t i = 0; i < height; i += 2) {
    float* probs = b.tile_probs + i * p.columns;
    float* dprobs = b.tile_dscores + i * p.columns;
    const float* lse = args.lse + (token + i) * shape.heads + block.head;
    const int64_t valid = position + i + 1;
    const bool both = i + 1 < height;
    const int64_t words = (first + i) * p.columns;
    const float dot = softmax_again(probs, dprobs, lse[0], valid);
    const float next =
        both ? softmax_again(probs + p.columns, dprobs + p.columns, lse[shape.heads], valid + 1)
             : 0;
    round_pair({probs,
                dprobs,
                p.columns,
                valid,
                both,
                {dot, next},
                b.tile_halves + i * p.columns,
                b.probs + words,
                b.dscores + words});
  }
  dots_tile(p.width / 16, (seen + 1) / 2, {b.tile_halves, p.columns / 2, 1}, b.key_rows, p.width,
            {b.dqueries, p.width, false});
  for (int64_t i = 0; i < height; ++i) {
    turn_back(pair, position + i, b.dqueries + i * p.width, pair.scale,
              args.dqkv + (token + i) * row_width(shape) + block.head * p.dim);
  }
}

static void block_backward(const AttentionBackward<Bf16>& args, const Pair& pair, const Packing& p,
                           QueryBlock block, const HalfBuffers& b) {
  const AttentionShape& shape = args.shape;
  const int64_t stride = row_width(shape);
  const int64_t token = pair.task.first + block.begin;
  for (int64_t i = 0; i < block.rows; ++i) {
    turn(pair, block.begin + i, args.qkv + (token + i) * stride + block.head * p.dim,
         pair.scale * kLog2e, b.queries + i * p.width);
  }
  pack_rows(p, block.rows, b.queries, p.width, b.query_rows);
  pack_rows(p, block.rows, args.dout + (token * shape.heads + block.head) * p.dim,
            shape.heads * p.dim, b.douts);
  for (int64_t i = 0; i < block.rows; i += kTileQueries) tile_backward(args, pair, p, block, i, b);
  const int64_t end = block.begin + block.rows;
  const int64_t pairs = (block.rows + 1) / 2;
  for (int64_t j = 0; j < end; j += kTileQueries) {
    const int64_t skip = j > block.begin ? (j - block.begin) / 2 : 0;  // queries before these keys
    const int64_t corner = 2 * (skip * p.columns + j);
    dots_tile(p.width / 16, pairs - skip, {b.dscores + corner, 1, p.columns},
              b.query_rows + 2 * skip * p.width, p.width, {b.dkeys + j * p.width, p.width, true});
    dots_tile(p.width / 16, pairs - skip, {b.probs + corner, 1, p.columns},
              b.douts + 2 * skip * p.width, p.width, {b.dvalues + j * p.width, p.width, true});
  }
}

static void attention_backward_pair_bf16(const AttentionBackward<Bf16>& args, AttentionTask task,
                                         float* scratch) {
  const AttentionShape& shape = args.shape;
  const Pair pair = pair_of(shape, task);
  const Packing p = packing_of(shape, task);
  const HalfBuffers b = lay_out_halves(p, scratch);
  const int64_t stride = row_width(shape);
  turn_keys(pair, p, args.qkv, b.turned);
  pack_columns(p, b.turned, p.width, b.key_columns);
  pack_rows(p, p.length, b.turned, p.width, b.key_rows);
  pack_columns(p, values_of(pair, args.qkv), stride, b.value_columns);
  clear(b.dkeys, task.length * p.width);
  clear(b.dvalues, task.length * p.width);
  const int64_t group = shape.heads / shape.kv_heads;
  for (int64_t head = task.kv_head * group; head < (task.kv_head + 1) * group; ++head) {
    for (int64_t q = 0; q < task.length; q += kQueryBlock) {
      block_backward(args, pair, p, {head, q, smaller(kQueryBlock, task.length - q)}, b);
    }
  }
  // Queries were scaled for powers of two.
  for (int64_t t = 0; t < task.length; ++t) {
    Bf16* row = args.dqkv + (task.first + t) * stride;
    turn_back(pair, t, b.dkeys + t * p.width, kLn2, row + (shape.heads + task.kv_head) * p.dim);
    Bf16* to = row + (shape.heads + shape.kv_heads + task.kv_head) * p.dim;
    const float* from = b.dvalues + t * p.width;
    each(p.dim, [&](int64_t d, auto part) { store(to + d, load(from + d, part), part); });
  }
}

}  // namespace retort::kernels::RETORT_ISA
