// Permission for one action does not turn into permission for another.
// rejected: could not convert|no matching|conversion from
#include <utility>

#include "corpus/clearance.h"

namespace retort {

corpus::Cleared<terms::TrainGenerative> pass(corpus::Cleared<terms::TrainGenerative> training,
                                             corpus::Cleared<terms::Evaluate> benchmark) {
#ifdef RETORT_FORBIDDEN
  (void)training;
  return std::move(benchmark);
#else
  (void)benchmark;
  return training;
#endif
}

}  // namespace retort
