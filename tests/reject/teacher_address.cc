// No scores are learnt from an address that was not cleared.
// rejected: could not convert|cannot convert
#include "train/fit.h"

namespace retort {

train::FitInput input(const corpus::Cleared<terms::TrainGenerative>& cleared,
                      const corpus::ClearedDoor<terms::TrainGenerative>& door,
                      const corpus::Teaching& teaching) {
#ifdef RETORT_FORBIDDEN
  return {.data = cleared, .door = &teaching};
#else
  (void)teaching;
  return {.data = cleared, .door = &door};
#endif
}

}  // namespace retort
