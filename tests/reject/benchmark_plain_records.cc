// Nobody is measured against records that were not cleared.
// rejected: invalid initialization|could not convert|cannot bind
#include <vector>

#include "evaluate/evaluate.h"

namespace retort {

evaluate::EvaluateInput input(const corpus::Cleared<terms::Evaluate>& benchmark,
                              const corpus::Cleared<terms::TrainGenerative>& training,
                              const model::Weights& student,
                              const std::vector<corpus::Record>& records) {
#ifdef RETORT_FORBIDDEN
  return {.held_out = records, .training = training, .student = student};
#else
  (void)records;
  return {.held_out = benchmark, .training = training, .student = student};
#endif
}

}  // namespace retort
