// The learning rate of each step: a linear warm-up, then one of
//   cosine    half a cosine down to a share of the peak (Loshchilov and Hutter 2017, "SGDR")
//   linear    a straight line down to it
//   constant  the peak
//   wsd       the peak, and in the last steps down to the share as 1 - sqrt(done) (Hägele et al.
//             2024, arXiv 2405.18392, section 3): the steps before can be gone on from
#pragma once
#include <cstdint>
#include <string>

#include "base/result.h"

namespace retort::train {

struct Schedule {
  enum class Shape { cosine, linear, constant, wsd };

  Shape shape = Shape::cosine;
  double peak = 0;
  double min_ratio = 0;  // of the peak, reached in the last step
  int64_t warmup = 0;    // steps
  int64_t decay = 0;     // steps at the end, of wsd
  int64_t total = 1;     // steps

  // `step` counts from 0; beyond the last step the last rate holds.
  double at(int64_t step) const;
};

Result<Schedule::Shape> parse_schedule(const std::string& name);

}  // namespace retort::train
