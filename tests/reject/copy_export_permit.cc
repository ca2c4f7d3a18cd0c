// An export permit is for one model and is not multiplied.
// rejected: use of deleted function
#include <utility>

#include "corpus/clearance.h"

namespace retort {

corpus::ExportPermit pass(corpus::ExportPermit& held) {
#ifdef RETORT_FORBIDDEN
  return held;
#else
  return std::move(held);
#endif
}

}  // namespace retort
