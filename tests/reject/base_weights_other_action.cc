// Weights that were cleared to be measured are not trained further.
// rejected: could not convert|cannot convert
#include "train/fit.h"

namespace retort {

train::FitInput input(const corpus::Cleared<terms::TrainGenerative>& cleared,
                      const corpus::ClearedWeights<terms::TrainGenerative>& weights,
                      const corpus::ClearedWeights<terms::Evaluate>& measured) {
#ifdef RETORT_FORBIDDEN
  return {.data = cleared, .base_weights = &measured};
#else
  (void)measured;
  return {.data = cleared, .base_weights = &weights};
#endif
}

}  // namespace retort
