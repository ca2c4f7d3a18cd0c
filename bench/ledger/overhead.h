// What the ledger costs beside the same work without it: gathering and training.
#pragma once
#include <string>

#include "base/result.h"

namespace retort::bench {

// Pairs of runs by turns, in `folder`, which is emptied. Prints a line a figure.
Result<void> measure_overhead(const std::string& folder);

}  // namespace retort::bench
