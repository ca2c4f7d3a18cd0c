// From all records to those that are kept: a step a reason, with an example. Pure.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "curate/sift.h"

namespace retort::curate {

struct FunnelStep {
  Drop reason = Drop::none;
  int64_t in = 0, dropped = 0;
  std::string example_key;
  std::string example;  // the answer's beginning
};

// The steps in the order of Drop; those that every reader looks for also when nothing was dropped.
// The examples do not depend on the order of the records.
std::vector<FunnelStep> funnel_of(const std::vector<Candidate>& candidates,
                                  const std::vector<Drop>& drops);

}  // namespace retort::curate
