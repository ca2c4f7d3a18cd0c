// Products of int8 activations with quantised weights for one instruction set. All give the same
// integers; the floating-point steps of a block are acc += (scale_w * scale_x) * dot, and for q4
// acc += offset_w * (scale_x * sum_x).
#pragma once
#include "kernels/decode.h"
#include "kernels/simd_internal.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace retort::kernels::RETORT_ISA {

// What a code stands above zero: dot(code - centre, x) = dot(code, x) - centre * sum(x).
constexpr int32_t centre_of(PackedFormat format) {
  return format == PackedFormat::q8 ? 128 : format == PackedFormat::q4_centred ? 8 : 0;
}

// The activations of up to 8 rows, and where their products go.
struct CodeRows {
  const int8_t* codes;
  const float* scales;
  const int32_t* sums;
  int64_t ld_codes;
  int64_t ld_blocks;
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
  __m512 sums[R];
  for (int r = 0; r < R; ++r) sums[r] = _mm512_setzero_ps();
  const uint8_t* scales = tile + blocks * code_bytes(F);
  const uint8_t* offsets = scales + blocks * 32;
  for (int64_t b = 0; b < blocks; ++b) {
    CodeVector codes[8];
    load_codes<F>(tile + b * code_bytes(F), codes);
    const __m512 scale = sixteen_halves(scales + b * 32);
    __m512 offset = _mm512_setzero_ps();
    if constexpr (F == PackedFormat::q4) {
      offset = sixteen_halves(offsets + b * 32);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const int8_t* from = x.codes + r * x.ld_codes + b * kCodeBlock;
      const int32_t sum = x.sums[r * x.ld_blocks + b];
      const float scale_x = x.scales[r * x.ld_blocks + b];
      __m512i even = _mm512_set1_epi32(-centre_of(F) * sum);
      __m512i odd = _mm512_setzero_si512();
#pragma GCC unroll 8
      for (int q = 0; q < 8; q += 2) {
        int32_t first, second;
        __builtin_memcpy(&first, from + q * 4, 4);
        __builtin_memcpy(&second, from + q * 4 + 4, 4);
        even = _mm512_dpbusd_epi32(even, codes[q], _mm512_set1_epi32(first));
        odd = _mm512_dpbusd_epi32(odd, codes[q + 1], _mm512_set1_epi32(second));
      }
      const __m512 dot = _mm512_cvtepi32_ps(_mm512_add_epi32(even, odd));
      sums[r] = _mm512_fmadd_ps(_mm512_mul_ps(scale, _mm512_set1_ps(scale_x)), dot, sums[r]);
      if constexpr (F == PackedFormat::q4) {
        sums[r] = _mm512_fmadd_ps(offset, _mm512_set1_ps(scale_x * static_cast<float>(sum)),
                                  sums[r]);
      }
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
      const __m256i w = _mm256_and_si256(q < 4 ? both : _mm256_srli_epi16(both, 4),
                                         _mm256_set1_epi8(15));
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
      __m256 offset = _mm256_setzero_ps();
      if constexpr (F == PackedFormat::q4) {
        offset = _mm256_cvtph_ps(
            _mm_load_si128(reinterpret_cast<const __m128i*>(offsets + b * 32 + half * 16)));
      }
      for (int r = 0; r < R; ++r) {
        const int32_t sum = x.sums[r * x.ld_blocks + b];
        const float scale_x = x.scales[r * x.ld_blocks + b];
        __m256i dot = code_dot<F>(codes, x.codes + r * x.ld_codes + b * kCodeBlock);
        if constexpr (F == PackedFormat::q4_centred) {
          dot = _mm256_sub_epi32(dot, _mm256_set1_epi32(centre_of(F) * sum));
        }
        sums[r] = _mm256_fmadd_ps(_mm256_mul_ps(scale, _mm256_set1_ps(scale_x)),
                                  _mm256_cvtepi32_ps(dot), sums[r]);
        if constexpr (F == PackedFormat::q4) {
          sums[r] = _mm256_fmadd_ps(offset, _mm256_set1_ps(scale_x * static_cast<float>(sum)),
                                    sums[r]);
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
      const int8_t* from = x.codes + r * x.ld_codes + b * kCodeBlock;
      const int32_t sum = x.sums[r * x.ld_blocks + b];
      const float scale_x = x.scales[r * x.ld_blocks + b];
      for (int lane = 0; lane < 16; ++lane) {
        int32_t dot = -centre_of(F) * sum;
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
        float& total = out[r][lane];
        total += half_at(scales, b * 16 + lane) * scale_x * static_cast<float>(dot);
        if constexpr (F == PackedFormat::q4) {
          total += half_at(scales, (blocks + b) * 16 + lane) * (scale_x * static_cast<float>(sum));
        }
      }
    }
  }
}

#endif

}  // namespace retort::kernels::RETORT_ISA
