// The tokenizer of weights that were cleared to be measured is no student's.
// rejected: invalid initialization|could not convert|cannot bind
#include "train/start.h"

namespace retort {

bool take(const corpus::ClearedWeights<terms::TrainGenerative>& weights,
          const corpus::ClearedWeights<terms::Evaluate>& measured) {
#ifdef RETORT_FORBIDDEN
  return train::base_tokenizer(measured).ok();
#else
  (void)measured;
  return train::base_tokenizer(weights).ok();
#endif
}

}  // namespace retort
