// What the worlds' outcomes say, as figures with intervals.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "harvest/world.h"

namespace retort::bench::harvest {

// The exact interval of a rate, 95 % (Clopper and Pearson 1934).
struct Interval {
  double low = 0, high = 1;
};
Interval clopper_pearson(int64_t hits, int64_t of);

// Prints tables: honest accounts by kind, campaigns by variant, the figures to reach.
void print_outcomes(const std::vector<Outcome>& outcomes);

}  // namespace retort::bench::harvest
