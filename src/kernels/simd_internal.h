// Vectors of RETORT_LANES floats by the compiler's own vector types: loads and stores whole or in
// part, of float and bf16, sums, an exponential and a logarithm. Included with RETORT_ISA (a
// namespace) and RETORT_LANES defined; see loops_internal.h for what code here may not do.
#pragma once
#include <cstdint>

#include "tensor/half.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#if !defined(RETORT_ISA) || !defined(RETORT_LANES)
#error "define RETORT_ISA and RETORT_LANES first"
#endif

namespace retort::kernels::RETORT_ISA {

using tensor::Bf16;
constexpr int64_t kLanes = RETORT_LANES;
typedef float V __attribute__((vector_size(RETORT_LANES * 4)));
typedef int32_t I __attribute__((vector_size(RETORT_LANES * 4)));
typedef uint32_t U __attribute__((vector_size(RETORT_LANES * 4)));
typedef uint16_t H __attribute__((vector_size(RETORT_LANES * 2)));

#define RETORT_INLINE static inline __attribute__((always_inline))

struct Whole {};
struct Part {
  int64_t count;
};

RETORT_INLINE V splat(float value) {
  return value - V{};
}

RETORT_INLINE V load(const float* p, Whole = {}) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
RETORT_INLINE V load(const float* p, Part part) {
  V v = {};
  for (int64_t i = 0; i < part.count; ++i) v[i] = p[i];
  return v;
}
RETORT_INLINE V widen(H half) {
#if defined(__AVX512F__)  // g++ 12 would convert the two halves one after the other
  return (V)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)half), 16);
#else
  return (V)(__builtin_convertvector(half, U) << 16);
#endif
}
RETORT_INLINE float widen_one(Bf16 half) {
  return __builtin_bit_cast(float, static_cast<uint32_t>(half.bits) << 16);
}
RETORT_INLINE float widen_one(float value) {
  return value;
}
RETORT_INLINE V load(const Bf16* p, Whole = {}) {
  H half;
  __builtin_memcpy(&half, p, sizeof half);
  return widen(half);
}
RETORT_INLINE V load(const Bf16* p, Part part) {
  H half = {};
  for (int64_t i = 0; i < part.count; ++i) half[i] = p[i].bits;
  return widen(half);
}

RETORT_INLINE H narrow(V v) {
#if defined(__AVX512BF16__)
  return (H)_mm512_cvtneps_pbh((__m512)v);
#else
  const U bits = (U)v;
  const U rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const U kept = v == v ? rounded : (bits >> 16) | 0x40u;
  return __builtin_convertvector(kept, H);
#endif
}
RETORT_INLINE void store(float* p, V v, Whole = {}) {
  __builtin_memcpy(p, &v, sizeof v);
}
RETORT_INLINE void store(float* p, V v, Part part) {
  for (int64_t i = 0; i < part.count; ++i) p[i] = v[i];
}
RETORT_INLINE void store(Bf16* p, V v, Whole = {}) {
  const H half = narrow(v);
  __builtin_memcpy(p, &half, sizeof half);
}
RETORT_INLINE void store(Bf16* p, V v, Part part) {
  const H half = narrow(v);
  for (int64_t i = 0; i < part.count; ++i) p[i].bits = half[i];
}

// f(index, Whole) over [0, n), then f(index, Part) for the rest.
template <class F>
RETORT_INLINE void each(int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) f(i, Whole{});
  if (i < n) f(i, Part{n - i});
}

RETORT_INLINE float sum(V v) {
  float lanes[kLanes];
  __builtin_memcpy(lanes, &v, sizeof v);
  for (int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (int64_t i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}
RETORT_INLINE V maximum(V a, V b) {
  return a > b ? a : b;
}
RETORT_INLINE float maximum(V v) {
  float best = v[0];
  for (int64_t i = 1; i < kLanes; ++i) best = v[i] > best ? v[i] : best;
  return best;
}

// exp(x) within 2 units in the last place for x in [-87, 88]; 0 below, exp(88) above, NaN for NaN.
// Range reduction and polynomial of Cephes' expf (Moshier).
RETORT_INLINE V exp(V x) {
  const V low = splat(-87.0f);
  const V high = splat(88.0f);
  V y = x > high ? high : x;
  y = x < low ? low : y;
  const V magic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const V shifted = y * 1.44269504088896341f + magic;
  const V n = shifted - magic;
  V r = y - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  V p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const I power = ((I)shifted - 0x4b400000) << 23;
  const V scaled = (V)((I)p + power);
  return x < low ? V{} : scaled;
}

// log(x) within 2 units in the last place for normal x > 0. Reduction to [sqrt(1/2), sqrt(2)) and
// polynomial of Cephes' logf (Moshier).
RETORT_INLINE V log(V x) {
  const I bits = (I)x;
  V m = (V)((bits & 0x007fffff) | 0x3f000000);  // in [0.5, 1)
  const I low = m < 0.707106781186547524f;      // -1 where true
  const I power = ((bits >> 23) & 0xff) - 126 + low;
  m = (low ? m + m : m) - 1.0f;
  const V e = __builtin_convertvector(power, V);
  const V z = m * m;
  V p = m * 7.0376836292e-2f - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  p = p * m * z - e * 2.12194440e-4f - 0.5f * z;
  return m + p + e * 0.693359375f;
}

}  // namespace retort::kernels::RETORT_ISA
