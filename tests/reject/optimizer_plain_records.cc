// The optimizer takes no records that were not cleared.
// rejected: could not convert|no matching|invalid initialization|cannot bind
#include <vector>

#include "train/fit.h"

namespace retort {

train::FitInput input(const corpus::Cleared<terms::TrainGenerative>& cleared,
                      const std::vector<corpus::Record>& records) {
#ifdef RETORT_FORBIDDEN
  return {.data = records};
#else
  (void)records;
  return {.data = cleared};
#endif
}

}  // namespace retort
