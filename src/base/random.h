// Counter-based random numbers: a value is a pure function of (seed, stream, index), so that data
// order, initial weights and sampling do not depend on threads or on what was drawn before.
// The mixing function is SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable PRNGs").
#pragma once
#include <cstdint>
#include <vector>

namespace retort::base {

uint64_t mix64(uint64_t value);

class Random {
 public:
  explicit Random(uint64_t seed, uint64_t stream = 0);

  uint64_t next();
  double uniform();            // [0, 1)
  uint64_t below(uint64_t n);  // [0, n), unbiased; n > 0
  double normal();             // mean 0, variance 1

  // The position can be saved and restored: resume is exact.
  uint64_t position() const { return index_; }
  void seek(uint64_t position) { index_ = position; }

 private:
  uint64_t key_;
  uint64_t index_ = 0;
};

// A random order of 0..n-1, the same for the same seed and stream on every machine.
std::vector<uint32_t> permutation(uint32_t n, uint64_t seed, uint64_t stream);

// Bytes from the operating system, for keys and salts. Aborts when the system has none.
void secure_random(void* data, uint64_t size_bytes);

}  // namespace retort::base
