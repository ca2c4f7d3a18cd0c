// Small sketches of streams: plain bytes, fixed size, no allocation.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace retort::detect {

// How many different values were seen: HyperLogLog (Flajolet, Fusy, Gandouet, Meunier 2007) with 64
// registers of four bits, linear counting while few are filled. Standard error 13 % up to a
// million.
class Distinct {
 public:
  void add(uint64_t hash) {
    auto& pair = registers_[hash >> 59];
    const int shift = (hash >> 58 & 1) != 0 ? 4 : 0;
    const int rank = std::min(15, std::countl_zero(hash << 6 | 1ULL << 5) + 1);
    const int other = pair & (0xF0 >> shift);
    pair = static_cast<uint8_t>(other | std::max(pair >> shift & 15, rank) << shift);
  }
  double estimate() const {
    double sum = 0;
    int empty = 0;
    for (const uint8_t pair : registers_) {
      for (const unsigned rank : {pair & 15U, unsigned{pair} >> 4}) {
        // 2 to the power of -rank, from its bits.
        sum += std::bit_cast<double>(uint64_t{1023U - rank} << 52);
        empty += rank == 0 ? 1 : 0;
      }
    }
    constexpr double kSize = 64, kAlpha = 0.709;
    const double raw = kAlpha * kSize * kSize / sum;
    if (empty > 0 && raw <= 2.5 * kSize) return kSize * std::log(kSize / empty);
    return raw;
  }

 private:
  std::array<uint8_t, 32> registers_{};  // two a byte
};

// The words of a text as 128 bits, to tell how much two texts have in common.
struct Bag {
  std::array<uint64_t, 2> bits{};
  void add(uint64_t hash) { bits[hash >> 6 & 1] |= 1ULL << (hash & 63); }
  bool empty() const { return (bits[0] | bits[1]) == 0; }
};

// Jaccard's index of the two sets of bits: 0 for nothing in common, 1 for the same.
inline double likeness(const Bag& a, const Bag& b) {
  const int both = std::popcount(a.bits[0] & b.bits[0]) + std::popcount(a.bits[1] & b.bits[1]);
  const int any = std::popcount(a.bits[0] | b.bits[0]) + std::popcount(a.bits[1] | b.bits[1]);
  return any == 0 ? 0.0 : static_cast<double>(both) / any;
}

}  // namespace retort::detect
