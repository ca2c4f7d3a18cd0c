// Only the clearance makes cleared weights.
// rejected: is private within this context
#include <string>

#include "corpus/clearance.h"

namespace retort {

bool clear(corpus::Clearance& clearance, const std::string& path) {
#ifdef RETORT_FORBIDDEN
  const corpus::ClearedWeights<terms::TrainGenerative> weights(path, "digest", "model",
                                                               corpus::Permit());
  return clearance.clear_weights<terms::Evaluate>(weights.path(), "model", {}).ok();
#else
  return clearance.clear_weights<terms::TrainGenerative>(path, "model", {}).ok();
#endif
}

}  // namespace retort
