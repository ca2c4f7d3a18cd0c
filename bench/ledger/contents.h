// How fast the contents of real shards are verified, beside what the machine needs for the parts of
// it that nothing can leave out.
#pragma once
#include <cstdint>
#include <string>

#include "base/result.h"

namespace retort::bench {

// Of the shards in FOLDER/shards, sealed in the log FOLDER/ledger. Prints a line a figure.
Result<void> measure_contents(const std::string& folder);

}  // namespace retort::bench
