// The learning rate of each step: a linear warm-up, then half a cosine down to a share of the peak.
// Source: Loshchilov and Hutter 2017, "SGDR", one cycle without restart.
#pragma once
#include <cstdint>

namespace retort::train {

struct Schedule {
  double peak = 0;
  double min_ratio = 0;  // of the peak, reached in the last step
  int64_t warmup = 0;    // steps
  int64_t total = 1;     // steps

  // `step` counts from 0; beyond the last step the last rate holds.
  double at(int64_t step) const;
};

}  // namespace retort::train
