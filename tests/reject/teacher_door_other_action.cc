// A door that may be asked for measuring gives no scores to learn from.
// rejected: could not convert|cannot convert
#include "train/fit.h"

namespace retort {

train::FitInput input(const corpus::Cleared<terms::TrainGenerative>& cleared,
                      const corpus::ClearedDoor<terms::TrainGenerative>& door,
                      const corpus::ClearedDoor<terms::Evaluate>& measured) {
#ifdef RETORT_FORBIDDEN
  return {.data = cleared, .door = &measured};
#else
  (void)measured;
  return {.data = cleared, .door = &door};
#endif
}

}  // namespace retort
