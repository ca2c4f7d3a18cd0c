// A teacher whose weights were cleared to be measured gives no distributions to learn from.
// rejected: could not convert|cannot convert
#include "train/fit.h"

namespace retort {

train::FitInput input(const corpus::Cleared<terms::TrainGenerative>& cleared,
                      const corpus::ClearedWeights<terms::TrainGenerative>& weights,
                      const corpus::ClearedWeights<terms::Evaluate>& measured) {
#ifdef RETORT_FORBIDDEN
  return {.data = cleared, .teacher = &measured};
#else
  (void)measured;
  return {.data = cleared, .teacher = &weights};
#endif
}

}  // namespace retort
