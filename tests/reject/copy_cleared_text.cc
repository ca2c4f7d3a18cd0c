// Cleared text is passed on, not multiplied.
// rejected: use of deleted function
#include <utility>

#include "corpus/clearance.h"

namespace retort {

terms::ClearedText<terms::TrainGenerative> pass(terms::ClearedText<terms::TrainGenerative>& held) {
#ifdef RETORT_FORBIDDEN
  return held;
#else
  return std::move(held);
#endif
}

}  // namespace retort
