// What products of codes need beyond simd_internal.h, for one instruction set: binary16 numbers and
// small integers as floats, a fused multiply-add, a table of 16, dot products of int8.
#pragma once
#include "kernels/decode.h"
#include "kernels/simd_internal.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace retort::kernels::RETORT_ISA {

typedef int8_t B __attribute__((vector_size(RETORT_LANES)));
// A quad of codes for every output, as bytes and as words to shift them by.
typedef uint8_t Codes __attribute__((vector_size(RETORT_LANES * 4)));
typedef uint16_t CodeWords __attribute__((vector_size(RETORT_LANES * 4)));

struct Half {
  uint16_t bits;
};

RETORT_INLINE V load(const Half* p) {
#if defined(__AVX512F__)
  return (V)_mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(p)));
#elif defined(__F16C__)
  return (V)_mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(p)));
#else
  V v = {};
  for (int64_t i = 0; i < kLanes; ++i) v[i] = tensor::half_to_float(p[i].bits);
  return v;
#endif
}

RETORT_INLINE V load(const int8_t* p) {
#if defined(__AVX512F__)
  const __m128i bytes = _mm_load_si128(reinterpret_cast<const __m128i*>(p));
  return (V)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
#elif defined(__AVX2__)
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return (V)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
#else
  V v = {};
  for (int64_t i = 0; i < kLanes; ++i) v[i] = p[i];
  return v;
#endif
}

// Fused where the instruction set has it, so that every row is rounded alike.
RETORT_INLINE V multiply_add(V a, V b, V c) {
#if defined(__AVX512F__)
  return (V)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
  return (V)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}

RETORT_INLINE Codes load_codes(const uint8_t* p) {
  Codes codes;
  __builtin_memcpy(&codes, p, sizeof codes);
  return codes;
}

// AVX2 multiplies codes that use all eight bits as signed numbers: the magnitude of a code times
// the activation with the code's sign, so that a pair of products never overflows 16 bits.
constexpr bool signed_codes(PackedFormat format) {
#if defined(__AVX2__) && !defined(__AVX512VNNI__)
  return code_shape(format).bits == 8 || code_shape(format).uneven;
#else
  return (void)format, false;
#endif
}
// What a product takes from codes as they are multiplied.
constexpr int centre_of(PackedFormat format) {
  return signed_codes(format) ? 0 : code_shape(format).uneven ? 128 : code_shape(format).centre;
}

// Levels for codes of 4 bits; from -128 upwards where codes are multiplied as unsigned ones.
RETORT_INLINE Codes uneven_levels(Codes codes) {
#if defined(__AVX2__)
  __m128i levels;
  __builtin_memcpy(&levels, kUnevenLevels, sizeof levels);
#if defined(__AVX512VNNI__)
  const __m128i raised = _mm_xor_si128(levels, _mm_set1_epi8(-128));
  return (Codes)_mm512_shuffle_epi8(_mm512_broadcast_i32x4(raised), (__m512i)codes);
#else
  return (Codes)_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(levels), (__m256i)codes);
#endif
#else
  for (int64_t i = 0; i < kLanes * 4; ++i) {
    codes[i] = static_cast<uint8_t>(kUnevenLevels[codes[i]] + 128);
  }
  return codes;
#endif
}

// sum over `quads` quads of codes[q] . x[4 q .. 4 q + 3], an output a lane.
template <PackedFormat F>
RETORT_INLINE I code_dot(const Codes* codes, const int8_t* x, int quads) {
#if defined(__AVX512VNNI__)
  __m512i total = _mm512_setzero_si512();
#pragma GCC unroll 8
  for (int q = 0; q < quads; ++q) {
    int32_t quad;
    __builtin_memcpy(&quad, x + q * 4, 4);
    total = _mm512_dpbusd_epi32(total, (__m512i)codes[q], _mm512_set1_epi32(quad));
  }
  return (I)total;
#elif defined(__AVX2__)
  constexpr int kBits = code_shape(F).bits;
  // So many pairs of products with activations of at most 127 fit 16 bits.
  constexpr int kFit = signed_codes(F) ? 1 : 32767 / (2 * 127 * ((1 << kBits) - 1));
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i total = _mm256_setzero_si256();
  __m256i pairs = _mm256_setzero_si256();
#pragma GCC unroll 8
  for (int q = 0; q < quads; ++q) {
    int32_t quad;
    __builtin_memcpy(&quad, x + q * 4, 4);
    __m256i xs = _mm256_set1_epi32(quad);
    __m256i w = (__m256i)codes[q];
    if constexpr (signed_codes(F)) {
      xs = _mm256_sign_epi8(xs, w);
      w = _mm256_abs_epi8(w);
    }
    const __m256i products = _mm256_maddubs_epi16(w, xs);
    pairs = q % kFit == 0 ? products : _mm256_add_epi16(pairs, products);
    if (q % kFit == kFit - 1 || q == quads - 1) {
      total = _mm256_add_epi32(total, _mm256_madd_epi16(pairs, ones));
    }
  }
  return (I)total;
#else
  I total = {};
  for (int q = 0; q < quads; ++q) {
    for (int64_t i = 0; i < kLanes * 4; ++i) total[i / 4] += codes[q][i] * x[q * 4 + i % 4];
  }
  return total;
#endif
}

}  // namespace retort::kernels::RETORT_ISA
