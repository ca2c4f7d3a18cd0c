// Cleared records are passed on, not multiplied.
// rejected: use of deleted function
#include <utility>

#include "corpus/clearance.h"

namespace retort {

corpus::Cleared<terms::TrainGenerative> pass(corpus::Cleared<terms::TrainGenerative>& held) {
#ifdef RETORT_FORBIDDEN
  return held;
#else
  return std::move(held);
#endif
}

}  // namespace retort
