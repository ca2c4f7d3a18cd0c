// A sealed or gathered answer's log-probabilities cannot be read before they are cleared.
// rejected: private|no member named
#include "corpus/clearance.h"

namespace retort {

size_t count(const corpus::Cleared<terms::TrainGenerative>& cleared, const corpus::Parent& parent) {
#ifdef RETORT_FORBIDDEN
  return parent.logprobs_.read().size();
#else
  (void)parent;
  return cleared.logprobs(0).size();
#endif
}

}  // namespace retort
