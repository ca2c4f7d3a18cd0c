// The decoding loops, written once for vectors of RETORT_LANES floats.
#pragma once
#include "kernels/decode_codes_internal.h"
#include "kernels/decode_loops_internal.h"
#include "kernels/paged_attention_body_internal.h"

namespace retort::kernels::RETORT_ISA {

constexpr int kRowGroup = 8;

// Even and odd inputs are summed apart, so that an addition need not wait for the last one.
template <class W, int R>
static void number_tile(const W* w, int64_t in, const float* x, int64_t ld_x, float (*out)[16]) {
  V sums[R][kParts][2] = {};
  int64_t i = 0;
  for (; i + 2 <= in; i += 2, w += 32) {
#pragma GCC unroll 4
    for (int p = 0; p < kParts; ++p) {
      const V even = load(w + p * kLanes);
      const V odd = load(w + 16 + p * kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        sums[r][p][0] += splat(x[r * ld_x + i]) * even;
        sums[r][p][1] += splat(x[r * ld_x + i + 1]) * odd;
      }
    }
  }
  if (i < in) {
    for (int p = 0; p < kParts; ++p) {
      const V even = load(w + p * kLanes);
      for (int r = 0; r < R; ++r) sums[r][p][0] += splat(x[r * ld_x + i]) * even;
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int p = 0; p < kParts; ++p) store(out[r] + p * kLanes, sums[r][p][0] + sums[r][p][1]);
  }
}

// A tile for rows [row, row + R), of a quantised format or of plain numbers.
template <PackedFormat F>
struct Coded {
  template <int R>
  RETORT_INLINE void run(const RowProduct& product, int64_t tile, int64_t row, float (*out)[16]) {
    const PackedMatrix& w = *product.weights;
    const Rows& x = product.x;
    const float* half_sums = x.half_sums == nullptr ? nullptr : x.half_sums + row * 2;
    const CodeRows rows = {
        x.codes + row * kCodeBlock, x.scales + row, x.sums + row, half_sums, x.rows, row == 0};
    code_tile<F, R>({w.tile(tile), w.parts(), w.blocks()}, rows, out);
  }
};
template <class W>
struct Plain {
  template <int R>
  RETORT_INLINE void run(const RowProduct& product, int64_t tile, int64_t row, float (*out)[16]) {
    const Rows& x = product.x;
    number_tile<W, R>(reinterpret_cast<const W*>(product.weights->tile(tile)), x.width,
                      x.values + row * x.width, x.width, out);
  }
};

template <class T>
RETORT_INLINE void tile_of_rows(const RowProduct& product, int64_t tile, int64_t row, int64_t count,
                                float (*out)[16]) {
  switch (count) {
    case 8:
      return T::template run<8>(product, tile, row, out);
    case 4:
      return T::template run<4>(product, tile, row, out);
    case 2:
      return T::template run<2>(product, tile, row, out);
    default:
      return T::template run<1>(product, tile, row, out);
  }
}

// A function a format, with its loops inlined: a tile of a narrow matrix takes no longer than a few
// calls would.
template <class T>
[[gnu::noinline]] static void tiles_of(const RowProduct& product, int64_t first, int64_t last) {
  alignas(64) float out[kRowGroup][16];
  const int64_t outputs = product.weights->out();
  for (int64_t tile = first; tile < last; ++tile) {
    const int64_t column = tile * kTileOutputs;
    const int64_t width = outputs - column < 16 ? outputs - column : 16;
    for (int64_t row = 0; row < product.x.rows;) {
      const int64_t left = product.x.rows - row;
      const int64_t count = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
      tile_of_rows<T>(product, tile, row, count, out);
      for (int64_t r = 0; r < count; ++r, ++row) {
        float* y = product.y + row * product.ld_y + column;
        if (product.accumulate) {
          for (int64_t i = 0; i < width; ++i) y[i] += out[r][i];
        } else {
          for (int64_t i = 0; i < width; ++i) y[i] = out[r][i];
        }
      }
    }
  }
}

static void row_product_tiles(const RowProduct& product, int64_t first, int64_t last) {
  using enum PackedFormat;
  switch (product.weights->format()) {
    case f32:
      return tiles_of<Plain<float>>(product, first, last);
    case f16:
      return tiles_of<Plain<Half>>(product, first, last);
    case bf16:
      return tiles_of<Plain<Bf16>>(product, first, last);
    case q4:
      return tiles_of<Coded<q4>>(product, first, last);
    case q4_centred:
      return tiles_of<Coded<q4_centred>>(product, first, last);
    case q4_uneven:
      return tiles_of<Coded<q4_uneven>>(product, first, last);
    case q5:
      return tiles_of<Coded<q5>>(product, first, last);
    case q5_centred:
      return tiles_of<Coded<q5_centred>>(product, first, last);
    case q8:
      return tiles_of<Coded<q8>>(product, first, last);
    case k2:
      return tiles_of<Coded<k2>>(product, first, last);
    case k3:
      return tiles_of<Coded<k3>>(product, first, last);
    case k4:
      return tiles_of<Coded<k4>>(product, first, last);
    case k5:
      return tiles_of<Coded<k5>>(product, first, last);
    case k6:
      return tiles_of<Coded<k6>>(product, first, last);
  }
}

// The largest magnitude of a block becomes 127. Rounding is to the nearest, ties to even.
static void quantise_blocks(const Rows& rows, int64_t row, int64_t begin, int64_t end) {
  const V magic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  for (int64_t at = begin; at < end; at += kCodeBlock) {
    const float* x = rows.values + row * rows.width + at;
    const int64_t block = at / kCodeBlock * rows.rows + row;
    int8_t* codes = rows.codes + block * kCodeBlock;
    V largest = {};
    for (int64_t i = 0; i < kCodeBlock; i += kLanes) {
      const V v = load(x + i);
      largest = maximum(largest, v < V{} ? -v : v);
    }
    const float most = maximum(largest);
    const float inverse = most > 0 ? 127.0f / most : 0.0f;
    V levels[2] = {};  // of both halves; their sums are exact
    for (int64_t i = 0; i < kCodeBlock; i += kLanes) {
      const V shifted = load(x + i) * inverse + magic;
      const B code = __builtin_convertvector((I)shifted - 0x4b400000, B);
      __builtin_memcpy(codes + i, &code, sizeof code);
      levels[i / 16] += shifted - magic;
    }
    const float scale = most / 127.0f;
    rows.scales[block] = scale;
    const float total = sum(levels[0] + levels[1]);
    rows.sums[block] = scale * total;
    if (rows.half_sums == nullptr) continue;
    const float first = sum(levels[0]);
    rows.half_sums[block * 2] = scale * first;
    rows.half_sums[block * 2 + 1] = scale * (total - first);
  }
}

static void norm_one(const NormRow& args) {
  V squares = {};
  float rest = 0;
  int64_t i = 0;
  for (; i + kLanes <= args.width; i += kLanes) {
    const V v = load(args.x + i);
    squares += v * v;
  }
  for (int64_t k = i; k < args.width; ++k) rest += args.x[k] * args.x[k];
  const float mean = (sum(squares) + rest) / static_cast<float>(args.width);
  const float rstd = 1.0f / __builtin_sqrtf(mean + args.eps);
  each(args.width, [&](int64_t at, auto part) {
    store(args.y + at, load(args.x + at, part) * rstd * load(args.weight + at, part), part);
  });
}

static void swiglu_range(const float* gate, const float* up, float* act, int64_t count) {
  each(count, [&](int64_t at, auto part) {
    const V z = load(gate + at, part);
    store(act + at, z / (1.0f + exp(-z)) * load(up + at, part), part);
  });
}

static float maximum_of(const float* x, int64_t count) {
  float best = x[0];
  V most = splat(x[0]);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) most = maximum(most, load(x + i));
  best = maximum(most);
  for (; i < count; ++i) best = x[i] > best ? x[i] : best;
  return best;
}

static float sum_of_exp(const float* x, int64_t count, float shift, float scale) {
  V total = {};
  float rest = 0;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) total += exp((load(x + i) - shift) * scale);
  if (i < count) {
    const V last = exp((load(x + i, Part{count - i}) - shift) * scale);
    for (int64_t k = 0; k < count - i; ++k) rest += last[k];
  }
  return sum(total) + rest;
}

static const DecodeLoops kDecodeLoops = {quantise_blocks, row_product_tiles, norm_one,
                                         swiglu_range,    attend_paged,      maximum_of,
                                         sum_of_exp,      RETORT_ISA_TEXT};

}  // namespace retort::kernels::RETORT_ISA
