// The numbers of a filter's file (docs/reference/record-index.md), and bits in order: the highest
// of a byte first.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "crypto/hash.h"

namespace retort::corpus {

inline constexpr std::string_view kFilterMagic = "RTRKEYFL";
inline constexpr uint64_t kFilterVersion = 1;
inline constexpr int64_t kDigestBytes = 32;
inline constexpr int64_t kOffsetBytes = 6;
// Of a key behind those that choose its bucket: of the keys in a bucket that are not asked for one
// in 4,096 looks like it.
inline constexpr int kPrintBits = 12;
inline constexpr int kMostBucketBits = 32;
// A bucket's list of counts takes a bit a shard and a bit a key: few keys would make it dear.
inline constexpr int64_t kKeysPerShardAndBucket = 4;

// The first 64 bits.
inline uint64_t prefix_of(const crypto::Digest& key) {
  uint64_t out = 0;
  for (size_t i = 0; i < 8; ++i) out = out << 8 | key[i];
  return out;
}
inline uint64_t top_bits(uint64_t value, int bits) {
  return bits == 0 ? 0 : value >> (64 - bits);
}

class BitWriter {
 public:
  void add(uint64_t value, int bits) {
    for (int i = bits - 1; i >= 0; --i) add_bit((value >> i & 1) != 0);
  }
  void add_bit(bool bit) {
    if (used_ == 0) bytes_ += '\0';
    if (bit) bytes_.back() = static_cast<char>(bytes_.back() | 0x80 >> used_);
    used_ = (used_ + 1) % 8;
  }
  // The next bit begins a byte.
  void align() { used_ = 0; }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
  int used_ = 0;  // bits of the last byte; 0: all
};

class BitReader {
 public:
  explicit BitReader(std::string_view bytes) : bytes_(bytes) {}
  bool has(int bits) const { return at_ + static_cast<size_t>(bits) <= bytes_.size() * 8; }
  // The caller asked has(), or skip_zeros() of another reader went over it.
  bool bit() {
    const bool out = (static_cast<unsigned char>(bytes_[at_ / 8]) & 0x80 >> at_ % 8) != 0;
    ++at_;
    return out;
  }
  uint64_t take(int bits) {
    uint64_t out = 0;
    while (bits-- > 0) out = out << 1 | (bit() ? 1 : 0);
    return out;
  }
  // Behind so many zeros; false where there are not as many.
  bool skip_zeros(size_t zeros) {
    while (zeros > 0) {
      if (!has(1)) return false;
      if (!bit()) --zeros;
    }
    return true;
  }

 private:
  std::string_view bytes_;
  size_t at_ = 0;
};

}  // namespace retort::corpus
