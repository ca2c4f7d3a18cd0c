// What the room's tests share: texts that look like words.
#pragma once
#include <string>

#include "base/random.h"

namespace retort::detect::testing {

inline std::string word(uint64_t seed) {
  base::Random random(seed, 17);
  std::string out;
  for (int k = 0; k < 4; ++k) {
    out += "bcdfghklmnprstvz"[random.below(16)];
    out += "aeiou"[random.below(5)];
  }
  return out + "n";
}

inline std::string chatter(uint64_t seed) {
  std::string out;
  for (uint64_t k = 0; k < 8; ++k) out += word(seed * 8 + k) + " ";
  return out;
}

}  // namespace retort::detect::testing
