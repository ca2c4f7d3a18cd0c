// A student starts from no weights that were not cleared.
// rejected: could not convert|cannot convert
#include <string>

#include "train/fit.h"

namespace retort {

train::FitInput input(const corpus::Cleared<terms::TrainGenerative>& cleared,
                      const corpus::ClearedWeights<terms::TrainGenerative>& weights,
                      const std::string& path) {
#ifdef RETORT_FORBIDDEN
  return {.data = cleared, .base_weights = &path};
#else
  (void)path;
  return {.data = cleared, .base_weights = &weights};
#endif
}

}  // namespace retort
