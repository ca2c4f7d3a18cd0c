#include <algorithm>

#include "base/parallel.h"
#include "train/running_mean_internal.h"

namespace retort::train {

RunningMean::RunningMean(double decay, std::span<const float> first) : decay_(decay) {
  if (decay > 0) mean_.assign(first.begin(), first.end());
}

// The first updates count more, or the mean would long be that of the first weights.
void RunningMean::move(std::span<const float> now, int64_t updates) {
  const auto done = static_cast<double>(updates);
  const auto decay = static_cast<float>(std::min(decay_, (1 + done) / (10 + done)));
  base::parallel_for(static_cast<int64_t>(mean_.size()), 1 << 14, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) mean_[i] += (1 - decay) * (now[i] - mean_[i]);
  });
}

void RunningMean::swap(std::span<float> with) {
  std::swap_ranges(mean_.begin(), mean_.end(), with.begin());
}

void RunningMean::replace(std::span<float> values) const {
  std::copy(mean_.begin(), mean_.end(), values.begin());
}

}  // namespace retort::train
