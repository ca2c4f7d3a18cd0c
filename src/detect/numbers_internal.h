// Numbers as several files of this room make and write them.
#pragma once
#include <fmt/format.h>

#include <cstdlib>
#include <span>

#include "json/value.h"

namespace retort::detect {

// part / of, which few requests cannot make extreme: `usual` counts as six more.
inline double share(double part, double of, double usual) {
  constexpr double kPrior = 6;
  return (part + usual * kPrior) / (of + kPrior);
}

// The shortest decimals that are read as the same floats.
inline double short_decimal(float value) {
  return std::strtod(fmt::format("{}", value).c_str(), nullptr);
}
inline json::Value short_decimals(std::span<const float> values) {
  json::Value out = json::Value::array();
  for (const float one : values) out.push(short_decimal(one));
  return out;
}

}  // namespace retort::detect
