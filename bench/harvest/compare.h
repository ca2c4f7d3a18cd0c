// The detector beside its baselines on the same requests, and what it costs.
#pragma once
#include <cstdint>

#include "detect/detector.h"
#include "harvest/world.h"

namespace retort::bench::harvest {

// Prints which share of harvesting accounts each detector finds within 2,000 requests, where each
// accuses the same share of honest ones: 0.1 %, on the very accounts of this comparison.
void compare(const Texts& texts, const Spec& spec, const detect::Detector::Options& options);
// Prints the time a request takes, and the memory.
void print_speed(const Texts& texts, const Spec& spec, const detect::Detector::Options& options);

}  // namespace retort::bench::harvest
