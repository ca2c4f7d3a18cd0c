// No training of which the log does not know.
// rejected: too few arguments|no matching function
#include "train/fit.h"

namespace retort {

bool learn(const train::FitInput& input, const lineage::LoggedRun& run) {
#ifdef RETORT_FORBIDDEN
  (void)run;
  return train::fit(input).ok();
#else
  return train::fit(input, run).ok();
#endif
}

}  // namespace retort
