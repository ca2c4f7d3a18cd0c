// Real shards of small records: what sealing, indexing, verifying and clearing cost for each.
#pragma once
#include <string>

#include "base/result.h"

namespace retort::bench {

// Prints a line a figure.
Result<void> measure_real_shards(const std::string& folder, int64_t records);

}  // namespace retort::bench
