#include "train/schedule.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace retort::train {
namespace {

// From 1 at done = 0 to 0 at done = 1.
double falling(Schedule::Shape shape, double done) {
  switch (shape) {
    case Schedule::Shape::cosine:
      return 0.5 * (1 + std::cos(std::numbers::pi * done));
    case Schedule::Shape::linear:
      return 1 - done;
    case Schedule::Shape::constant:
      return 1;
    case Schedule::Shape::wsd:
      return 1 - std::sqrt(done);
  }
  return 1;
}

}  // namespace

double Schedule::at(int64_t step) const {
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  // wsd stays at the peak until its decay; the first step that falls is one below it.
  const int64_t from = shape == Shape::wsd ? std::max(warmup, total - 1 - decay) : warmup;
  const auto span = static_cast<double>(std::max<int64_t>(total - 1 - from, 1));
  const double done = std::clamp(static_cast<double>(step - from) / span, 0.0, 1.0);
  return peak * (min_ratio + (1 - min_ratio) * falling(shape, done));
}

Result<Schedule::Shape> parse_schedule(const std::string& name) {
  if (name == "cosine") return Schedule::Shape::cosine;
  if (name == "linear") return Schedule::Shape::linear;
  if (name == "constant") return Schedule::Shape::constant;
  if (name == "wsd") return Schedule::Shape::wsd;
  return base::usage_error(
      fmt::format("the schedule must be cosine, linear, constant or wsd, not \"{}\"", name),
      "train.schedule");
}

}  // namespace retort::train
