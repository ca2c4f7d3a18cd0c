// The n-gram baseline counts no records but those cleared for training.
// rejected: invalid initialization|could not convert|cannot bind
#include "evaluate/evaluate.h"

namespace retort {

evaluate::EvaluateInput input(const corpus::Cleared<terms::Evaluate>& benchmark,
                              const corpus::Cleared<terms::TrainGenerative>& training,
                              const model::Weights& student) {
#ifdef RETORT_FORBIDDEN
  return {.held_out = benchmark, .training = benchmark, .student = student};
#else
  return {.held_out = benchmark, .training = training, .student = student};
#endif
}

}  // namespace retort
