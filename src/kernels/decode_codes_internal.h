// Products of int8 activations with quantised weights for one instruction set. A block, or each
// half of one where halves have their own factors, adds
//   (scale_w * scale_x) * dot(codes_w, codes_x) + offset_w * sum_x
// where codes that have a centre count as unsigned ones with offset -centre * scale.
#pragma once
#include "kernels/decode_vectors_internal.h"

namespace retort::kernels::RETORT_ISA {

constexpr int kParts = 16 / kLanes;  // vectors that make a tile's 16 outputs

// The activations of up to 8 rows, from the first block on; `rows` stand in all.
struct CodeRows {
  const int8_t* codes;
  const float* scales;
  const float* sums;
  const float* half_sums;
  int64_t rows;
  bool first;  // of the groups of rows that read this tile
};

struct CodeTile {
  const uint8_t* data;
  TileParts parts;
  int64_t blocks;
};

template <PackedFormat F>
struct Form {
  static constexpr CodeShape kShape = code_shape(F);
  static constexpr int kGroups = kCodeBlock / kShape.group;
  static constexpr int kCentre = centre_of(F);
  static constexpr bool kOffset = kShape.offsets || kCentre != 0;
  static constexpr int kNumbers = kShape.offsets ? 2 : 1;
  // Of a block in memory, with its share of what scales it.
  static constexpr int64_t kBytes =
      code_bytes(F) + (kShape.factors ? (4 + 16 * kGroups) * kNumbers : 32 * kNumbers);
};

// Codes of the plane of kBits bits at `from` become bits kAt and on.
template <int kBits, int kAt>
RETORT_INLINE void add_plane(const uint8_t* from, Codes codes[8]) {
  constexpr int kPer = 8 / kBits;
  constexpr uint8_t kMask = ((1 << kBits) - 1) << kAt;
#pragma GCC unroll 8
  for (int q = 0; q < 8; ++q) {
    const auto words = (CodeWords)load_codes(from + q / kPer * 64);
    const int right = kBits * (q % kPer) - kAt;
    const auto moved = (Codes)(right >= 0 ? words >> right : words << -right);
    const Codes plane = kBits == 8 ? moved : moved & kMask;
    codes[q] = kAt == 0 ? plane : codes[q] | plane;
  }
}

// Eight quads of one vector of outputs.
template <PackedFormat F>
RETORT_INLINE void unpack_codes(const uint8_t* from, Codes codes[8]) {
  constexpr int kBits = code_shape(F).bits;
  constexpr int kFirst = first_plane(kBits);
  add_plane<kFirst, 0>(from, codes);
  if constexpr (kBits > kFirst) add_plane<kBits - kFirst, kFirst>(from + kFirst * 64, codes);
#pragma GCC unroll 8
  for (int q = 0; q < 8; ++q) {
    if constexpr (code_shape(F).uneven) codes[q] = uneven_levels(codes[q]);
    if constexpr (kBits == 8 && signed_codes(F)) codes[q] ^= 128;
  }
}

template <PackedFormat F>
struct Scales {
  V scale[Form<F>::kGroups], offset[Form<F>::kGroups];
};

// What stands at `halves` for a block, times its factors: one number a group, for the outputs of a
// vector.
template <PackedFormat F>
RETORT_INLINE void load_numbers(const CodeTile& tile, int64_t halves, int64_t factors,
                                int64_t block, int part, V* to) {
  constexpr int kGroups = Form<F>::kGroups;
  constexpr bool kFactors = Form<F>::kShape.factors;
  constexpr int64_t kSpan = kFactors ? kFactorSpan / kCodeBlock : 1;
  const int64_t lane = part * kLanes;
  const V one = load(reinterpret_cast<const Half*>(tile.data + halves) + block / kSpan * 16 + lane);
#pragma GCC unroll 2
  for (int g = 0; g < kGroups; ++g) {
    to[g] = one;
    if constexpr (kFactors) {
      const auto* small = reinterpret_cast<const int8_t*>(tile.data + factors);
      to[g] *= load(small + (block * kGroups + g) * 16 + lane);
    }
  }
}

template <PackedFormat F>
RETORT_INLINE void load_scales(const CodeTile& tile, int64_t block, int part, Scales<F>& to) {
  const TileParts& parts = tile.parts;
  load_numbers<F>(tile, parts.scales, parts.factors, block, part, to.scale);
  if constexpr (Form<F>::kShape.offsets) {
    load_numbers<F>(tile, parts.offsets, parts.offset_factors, block, part, to.offset);
  } else {
    for (int g = 0; g < Form<F>::kGroups; ++g) {
      to.offset[g] = to.scale[g] * static_cast<float>(-Form<F>::kCentre);
    }
  }
}

template <PackedFormat F, int R>
RETORT_INLINE void add_block(const Codes codes[8], const Scales<F>& w, const CodeRows& x,
                             int64_t block, V sums[R]) {
  constexpr int kGroups = Form<F>::kGroups;
  const int8_t* row_codes = x.codes + block * x.rows * kCodeBlock;
  const float* scales = x.scales + block * x.rows;
  const float* row_sums =
      kGroups == 1 ? x.sums + block * x.rows : x.half_sums + block * x.rows * kGroups;
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    const V scale = splat(scales[r]);
#pragma GCC unroll 2
    for (int g = 0; g < kGroups; ++g) {
      const I dot = code_dot<F>(codes + g * (8 / kGroups),
                                row_codes + r * kCodeBlock + g * (32 / kGroups), 8 / kGroups);
      sums[r] = multiply_add(w.scale[g] * scale, __builtin_convertvector(dot, V), sums[r]);
      if constexpr (Form<F>::kOffset) {
        sums[r] = multiply_add(w.offset[g], splat(row_sums[r * kGroups + g]), sums[r]);
      }
    }
  }
}

template <PackedFormat F, int R>
RETORT_INLINE void code_tile(const CodeTile& tile, const CodeRows& x, float (*out)[16]) {
  constexpr int64_t kLines = (Form<F>::kBytes + 63) / 64;
  const uint8_t* next = tile.data + tile.parts.bytes;
  for (int part = 0; part < kParts; ++part) {
    V sums[R] = {};
    for (int64_t b = 0; b < tile.blocks; ++b) {
      // The first rows wait for memory: the tile behind this one is asked for meanwhile.
      if (x.first && part == 0) {
#pragma GCC unroll 10
        for (int64_t line = 0; line < kLines; ++line) {
          __builtin_prefetch(next + (b * kLines + line) * 64, 0, 3);
        }
      }
      Codes codes[8];
      unpack_codes<F>(tile.data + b * code_bytes(F) + part * kLanes * 4, codes);
      Scales<F> scales;
      load_scales<F>(tile, b, part, scales);
      add_block<F, R>(codes, scales, x, b, sums);
    }
    for (int r = 0; r < R; ++r) store(out[r] + part * kLanes, sums[r]);
  }
}

}  // namespace retort::kernels::RETORT_ISA
