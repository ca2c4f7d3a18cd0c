// Only the clearance makes cleared text.
// rejected: is private within this context
#include <string_view>
#include <vector>

#include "corpus/clearance.h"

namespace retort {

int64_t size(const corpus::Cleared<terms::TrainGenerative>& cleared,
             const std::vector<std::string_view>& texts) {
#ifdef RETORT_FORBIDDEN
  const terms::ClearedText<terms::TrainGenerative> text(nullptr, texts);
  return text.size() + cleared.size();
#else
  (void)texts;
  return corpus::Clearance::text(cleared).size();
#endif
}

}  // namespace retort
