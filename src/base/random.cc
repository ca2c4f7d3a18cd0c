#include "base/random.h"

#include <sys/random.h>

#include <cmath>
#include <numbers>
#include <numeric>

#include "base/check.h"

namespace retort::base {

uint64_t mix64(uint64_t value) {
  value += 0x9e3779b97f4a7c15ULL;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

Random::Random(uint64_t seed, uint64_t stream) : key_(mix64(seed ^ mix64(stream))) {}

uint64_t Random::next() {
  return mix64(key_ ^ mix64(index_++));
}

double Random::uniform() {
  return static_cast<double>(next() >> 11) * 0x1.0p-53;
}

uint64_t Random::below(uint64_t n) {
  RETORT_CHECK(n > 0);
  const uint64_t limit = UINT64_MAX - UINT64_MAX % n;
  uint64_t value = next();
  while (value >= limit) value = next();
  return value % n;
}

double Random::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

std::vector<uint32_t> permutation(uint32_t n, uint64_t seed, uint64_t stream) {
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0U);
  Random random(seed, stream);
  for (uint32_t i = n; i > 1; --i) {
    std::swap(order[i - 1], order[random.below(i)]);
  }
  return order;
}

void secure_random(void* data, uint64_t size_bytes) {
  auto* bytes = static_cast<unsigned char*>(data);
  while (size_bytes > 0) {
    const ssize_t got = getrandom(bytes, size_bytes, 0);
    RETORT_CHECK(got > 0, "getrandom gave {}", got);
    bytes += got;
    size_bytes -= static_cast<uint64_t>(got);
  }
}

}  // namespace retort::base
