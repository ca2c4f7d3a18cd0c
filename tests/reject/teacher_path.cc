// No distributions are learnt from a teacher's file that was not cleared.
// rejected: could not convert|cannot convert
#include <string>

#include "train/fit.h"

namespace retort {

train::FitInput input(const corpus::Cleared<terms::TrainGenerative>& cleared,
                      const corpus::ClearedWeights<terms::TrainGenerative>& weights,
                      const std::string& path) {
#ifdef RETORT_FORBIDDEN
  return {.data = cleared, .teacher = &path};
#else
  (void)path;
  return {.data = cleared, .teacher = &weights};
#endif
}

}  // namespace retort
