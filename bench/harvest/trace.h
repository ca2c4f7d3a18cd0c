// A line for each campaign of a test: what it was like, how much it got, and how near its accounts
// came to what its declared purpose takes.
#pragma once
#include <vector>

#include "harvest/world.h"

namespace retort::bench::harvest {

void print_trace(const std::vector<Outcome>& outcomes, const detect::Calibration& calibration);

}  // namespace retort::bench::harvest
