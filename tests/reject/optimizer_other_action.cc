// Records that were cleared for evaluation are not trained on.
// rejected: invalid initialization|could not convert|cannot bind
#include "train/fit.h"

namespace retort {

train::FitInput input(const corpus::Cleared<terms::TrainGenerative>& cleared,
                      const corpus::Cleared<terms::Evaluate>& benchmark) {
#ifdef RETORT_FORBIDDEN
  return {.data = benchmark};
#else
  return {.data = cleared, .held_out = &benchmark};
#endif
}

}  // namespace retort
