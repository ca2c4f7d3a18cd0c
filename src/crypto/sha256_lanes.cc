// FIPS 180-4, section 6.2.2, by the instructions that do two rounds (sha256rnds2) and two halves of
// four words of the schedule (sha256msg1, sha256msg2). Two rounds have a latency of four cycles and
// a new pair can start every two, so that a second text costs next to nothing beside the first.
#include "crypto/sha256_lanes_internal.h"

#include <array>
#include <utility>

#include "base/check.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#include "base/cpu.h"

namespace retort::crypto {
namespace {

// Chosen when the program runs, so that the rest of it does without.
#define SHA_TARGET __attribute__((target("sha,sse4.1")))
#define SHA_INLINE SHA_TARGET inline __attribute__((always_inline))

constexpr std::array<uint32_t, 64> kRoundConstants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// The instructions keep the eight words as two vectors, A B E F and C D G H from the highest down.
struct Working {
  __m128i abef, cdgh;
  __m128i schedule[4];  // the last 16 words
};

SHA_INLINE Working load_state(const uint32_t* state) {
  const auto* words = reinterpret_cast<const __m128i*>(state);
  const __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(words), 0xb1);
  const __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(words + 1), 0x1b);
  return {_mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xf0), {}};
}

SHA_INLINE void store_state(const Working& of, uint32_t* state) {
  auto* words = reinterpret_cast<__m128i*>(state);
  const __m128i feba = _mm_shuffle_epi32(of.abef, 0x1b);
  const __m128i dchg = _mm_shuffle_epi32(of.cdgh, 0xb1);
  _mm_storeu_si128(words, _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(words + 1, _mm_alignr_epi8(dchg, feba, 8));
}

// Rounds 4 group to 4 group + 3.
template <size_t group>
SHA_INLINE void four_rounds(Working& of, const uint8_t* block) {
  __m128i& words = of.schedule[group % 4];
  if constexpr (group < 4) {
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    words = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block) + group);
    words = _mm_shuffle_epi8(words, big_endian);
  } else {
    const __m128i last = of.schedule[(group + 3) % 4];
    const __m128i seven_back = _mm_alignr_epi8(last, of.schedule[(group + 2) % 4], 4);
    const __m128i half = _mm_sha256msg1_epu32(words, of.schedule[(group + 1) % 4]);
    words = _mm_sha256msg2_epu32(_mm_add_epi32(half, seven_back), last);
  }
  const auto* constants = reinterpret_cast<const __m128i*>(kRoundConstants.data());
  const __m128i added = _mm_add_epi32(words, _mm_loadu_si128(constants + group));
  of.cdgh = _mm_sha256rnds2_epu32(of.cdgh, of.abef, added);
  of.abef = _mm_sha256rnds2_epu32(of.abef, of.cdgh, _mm_shuffle_epi32(added, 0x0e));
}

template <size_t group>
SHA_INLINE void four_rounds(Working (&of)[1], const Lane (&at)[1]) {
  four_rounds<group>(of[0], at[0].data);
}

template <size_t group>
SHA_INLINE void four_rounds(Working (&of)[2], const Lane (&at)[2]) {
  four_rounds<group>(of[0], at[0].data);
  four_rounds<group>(of[1], at[1].data);
}

template <size_t lanes, size_t... group>
SHA_INLINE void all_rounds(Working (&of)[lanes], const Lane (&at)[lanes],
                           std::index_sequence<group...>) {
  (four_rounds<group>(of, at), ...);
}

template <size_t lanes>
SHA_INLINE void compress(Lane (&at)[lanes], size_t blocks) {
  Working now[lanes];
  for (size_t i = 0; i < lanes; ++i) now[i] = load_state(at[i].state);
  for (; blocks > 0; --blocks) {
    Working before[lanes];
    for (size_t i = 0; i < lanes; ++i) before[i] = now[i];
    all_rounds(now, at, std::make_index_sequence<16>());
    for (size_t i = 0; i < lanes; ++i) {
      now[i].abef = _mm_add_epi32(now[i].abef, before[i].abef);
      now[i].cdgh = _mm_add_epi32(now[i].cdgh, before[i].cdgh);
      at[i].data += 64;
    }
  }
  for (size_t i = 0; i < lanes; ++i) store_state(now[i], at[i].state);
}

bool detect() {
  unsigned int eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  // RETORT_ISA=reference takes away AVX2 and this.
  return (ebx & bit_SHA) != 0 && base::cpu_features().avx2;
}

}  // namespace

bool has_sha256_lanes() {
  static const bool has = detect();
  return has;
}

SHA_TARGET void compress_one(const Lane& lane, size_t blocks) {
  Lane at[] = {lane};
  compress(at, blocks);
}

SHA_TARGET void compress_two(const Lane& first, const Lane& second, size_t blocks) {
  Lane at[] = {first, second};
  compress(at, blocks);
}

}  // namespace retort::crypto

#else

namespace retort::crypto {

bool has_sha256_lanes() {
  return false;
}
void compress_one(const Lane&, size_t) {
  RETORT_CHECK(false, "there are no such instructions");
}
void compress_two(const Lane&, const Lane&, size_t) {
  RETORT_CHECK(false, "there are no such instructions");
}

}  // namespace retort::crypto

#endif
