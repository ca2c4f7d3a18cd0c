#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace retort::train {

double Schedule::at(int64_t step) const {
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  const auto span = static_cast<double>(std::max<int64_t>(total - 1 - warmup, 1));
  const double done = std::min(static_cast<double>(step - warmup) / span, 1.0);
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * done));
  return peak * (min_ratio + (1 - min_ratio) * cosine);
}

}  // namespace retort::train
