// Products of int8 activations with quantised weights for one instruction set. A block adds
//   (scale_w * scale_x) * dot(codes_w, codes_x) + offset_w * sum_x
// where codes that have a centre count as unsigned ones with offset -centre * scale.
#pragma once
#include "kernels/decode.h"
#include "kernels/simd_internal.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace retort::kernels::RETORT_ISA {

constexpr float centre_of(PackedFormat format) {
  return format == PackedFormat::q8 ? 128 : format == PackedFormat::q4_centred ? 8 : 0;
}

// The activations of up to 8 rows, from the first block on; `rows` stand in all.
struct CodeRows {
  const int8_t* codes;
  const float* scales;
  const float* sums;
  int64_t rows;
  bool first;  // of the groups of rows that read this tile
};

#if defined(__AVX512VNNI__)

typedef __m512i CodeVector;

RETORT_INLINE __m512 sixteen_halves(const void* from) {
  return _mm512_cvtph_ps(_mm256_load_si256(static_cast<const __m256i*>(from)));
}

template <PackedFormat F>
RETORT_INLINE void load_codes(const uint8_t* from, CodeVector codes[8]) {
  if constexpr (F == PackedFormat::q8) {
    for (int i = 0; i < 8; ++i) codes[i] = _mm512_load_si512(from + i * 64);
  } else {
    const __m512i low = _mm512_set1_epi8(15);
    for (int i = 0; i < 4; ++i) {
      const __m512i both = _mm512_load_si512(from + i * 64);
      codes[i] = _mm512_and_si512(both, low);
      codes[i + 4] = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
    }
  }
}

template <PackedFormat F, int R>
static void code_tile(const uint8_t* tile, int64_t blocks, const CodeRows& x, float (*out)[16]) {
  constexpr int64_t kBytes = code_bytes(F);
  const uint8_t* scales = tile + blocks * kBytes;
  const uint8_t* offsets = scales + blocks * 32;
  const uint8_t* next = tile + blocks * (kBytes + (F == PackedFormat::q4 ? 64 : 32));
  __m512 sums[R];
  for (int r = 0; r < R; ++r) sums[r] = _mm512_setzero_ps();
  for (int64_t b = 0; b < blocks; ++b) {
    // The first rows wait for memory: the tile behind this one is asked for meanwhile.
    if (x.first) {
#pragma GCC unroll 9
      for (int64_t at = 0; at < kBytes + 64; at += 64) {
        __builtin_prefetch(next + b * (kBytes + 64) + at, 0, 3);
      }
    }
    CodeVector codes[8];
    load_codes<F>(tile + b * kBytes, codes);
    const __m512 scale = sixteen_halves(scales + b * 32);
    __m512 offset;
    if constexpr (F == PackedFormat::q4) {
      offset = sixteen_halves(offsets + b * 32);
    } else {
      offset = _mm512_mul_ps(scale, _mm512_set1_ps(-centre_of(F)));
    }
    const int8_t* row_codes = x.codes + b * x.rows * kCodeBlock;
    const float* row_scales = x.scales + b * x.rows;
    const float* row_sums = x.sums + b * x.rows;
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const int8_t* from = row_codes + r * kCodeBlock;
      __m512i dot = _mm512_setzero_si512();
#pragma GCC unroll 8
      for (int q = 0; q < 8; ++q) {
        int32_t quad;
        __builtin_memcpy(&quad, from + q * 4, 4);
        dot = _mm512_dpbusd_epi32(dot, codes[q], _mm512_set1_epi32(quad));
      }
      const __m512 scale_x = _mm512_set1_ps(row_scales[r]);
      const __m512 sum_x = _mm512_set1_ps(row_sums[r]);
      sums[r] = _mm512_fmadd_ps(_mm512_mul_ps(scale, scale_x), _mm512_cvtepi32_ps(dot), sums[r]);
      sums[r] = _mm512_fmadd_ps(offset, sum_x, sums[r]);
    }
  }
  for (int r = 0; r < R; ++r) _mm512_storeu_ps(out[r], sums[r]);
}

#elif defined(__AVX2__)

// Eight outputs at a time. Codes of q8 are taken as signed numbers, whose magnitude multiplies the
// activation with its sign: the pairs of products then never overflow 16 bits.
template <PackedFormat F>
RETORT_INLINE __m256i code_dot(const uint8_t* from, const int8_t* x) {
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i total = _mm256_setzero_si256();
  for (int q = 0; q < 8; ++q) {
    int32_t quad;
    __builtin_memcpy(&quad, x + q * 4, 4);
    const __m256i xs = _mm256_set1_epi32(quad);
    if constexpr (F == PackedFormat::q8) {
      const __m256i raw = _mm256_load_si256(reinterpret_cast<const __m256i*>(from + q * 64));
      const __m256i w = _mm256_xor_si256(raw, _mm256_set1_epi8(-128));
      const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(xs, w));
      total = _mm256_add_epi32(total, _mm256_madd_epi16(pairs, ones));
    } else {
      const __m256i both = _mm256_load_si256(reinterpret_cast<const __m256i*>(from + q % 4 * 64));
      const __m256i w =
          _mm256_and_si256(q < 4 ? both : _mm256_srli_epi16(both, 4), _mm256_set1_epi8(15));
      // 8 pairs of at most 2 * 15 * 127 fit 16 bits.
      total = _mm256_add_epi16(total, _mm256_maddubs_epi16(w, xs));
    }
  }
  if constexpr (F != PackedFormat::q8) total = _mm256_madd_epi16(total, ones);
  return total;
}

template <PackedFormat F, int R>
static void code_tile(const uint8_t* tile, int64_t blocks, const CodeRows& x, float (*out)[16]) {
  const uint8_t* scales = tile + blocks * code_bytes(F);
  const uint8_t* offsets = scales + blocks * 32;
  for (int half = 0; half < 2; ++half) {
    __m256 sums[R];
    for (int r = 0; r < R; ++r) sums[r] = _mm256_setzero_ps();
    for (int64_t b = 0; b < blocks; ++b) {
      const uint8_t* codes = tile + b * code_bytes(F) + half * 32;
      const __m256 scale = _mm256_cvtph_ps(
          _mm_load_si128(reinterpret_cast<const __m128i*>(scales + b * 32 + half * 16)));
      __m256 offset = _mm256_mul_ps(scale, _mm256_set1_ps(-centre_of(F)));
      if constexpr (F == PackedFormat::q4) {
        offset = _mm256_cvtph_ps(
            _mm_load_si128(reinterpret_cast<const __m128i*>(offsets + b * 32 + half * 16)));
      }
      for (int r = 0; r < R; ++r) {
        const int64_t at = b * x.rows + r;
        const __m256 scale_x = _mm256_set1_ps(x.scales[at]);
        const __m256i dot = code_dot<F>(codes, x.codes + at * kCodeBlock);
        sums[r] = _mm256_fmadd_ps(_mm256_mul_ps(scale, scale_x), _mm256_cvtepi32_ps(dot), sums[r]);
        if constexpr (F != PackedFormat::q8) {  // whose codes were taken with their signs
          sums[r] = _mm256_fmadd_ps(offset, _mm256_set1_ps(x.sums[at]), sums[r]);
        }
      }
    }
    for (int r = 0; r < R; ++r) _mm256_storeu_ps(out[r] + half * 8, sums[r]);
  }
}

#else

RETORT_INLINE float half_at(const uint8_t* from, int64_t index) {
  uint16_t bits;
  __builtin_memcpy(&bits, from + index * 2, 2);
  return tensor::half_to_float(bits);
}

template <PackedFormat F, int R>
static void code_tile(const uint8_t* tile, int64_t blocks, const CodeRows& x, float (*out)[16]) {
  const uint8_t* scales = tile + blocks * code_bytes(F);
  for (int r = 0; r < R; ++r) {
    for (int lane = 0; lane < 16; ++lane) out[r][lane] = 0;
  }
  for (int64_t b = 0; b < blocks; ++b) {
    const uint8_t* codes = tile + b * code_bytes(F);
    for (int r = 0; r < R; ++r) {
      const int64_t at = b * x.rows + r;
      const int8_t* from = x.codes + at * kCodeBlock;
      for (int lane = 0; lane < 16; ++lane) {
        int32_t dot = 0;
        for (int i = 0; i < kCodeBlock; ++i) {
          const int quad = i / 4;
          const int within = lane * 4 + i % 4;
          if constexpr (F == PackedFormat::q8) {
            dot += codes[quad * 64 + within] * from[i];
          } else {
            const int both = codes[quad % 4 * 64 + within];
            dot += (quad < 4 ? both & 15 : both >> 4) * from[i];
          }
        }
        const float scale = half_at(scales, b * 16 + lane);
        float offset = -centre_of(F) * scale;
        if constexpr (F == PackedFormat::q4) offset = half_at(scales, (blocks + b) * 16 + lane);
        out[r][lane] += scale * x.scales[at] * static_cast<float>(dot);
        out[r][lane] += offset * x.sums[at];
      }
    }
  }
}

#endif

}  // namespace retort::kernels::RETORT_ISA
