// No vocabulary is trimmed to answers that were cleared to measure with.
// rejected: invalid initialization|could not convert|cannot bind
#include "train/start.h"

namespace retort {

bool trim(const tokenizer::Tokenizer& base, const corpus::Cleared<terms::TrainGenerative>& cleared,
          const corpus::Cleared<terms::Evaluate>& benchmark) {
#ifdef RETORT_FORBIDDEN
  return train::trim_tokenizer(base, benchmark).ok();
#else
  (void)benchmark;
  return train::trim_tokenizer(base, cleared).ok();
#endif
}

}  // namespace retort
