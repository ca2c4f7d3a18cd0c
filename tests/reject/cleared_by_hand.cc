// Only the clearance makes cleared records.
// rejected: is private within this context
#include <memory>
#include <vector>

#include "corpus/clearance.h"

namespace retort {

bool clear(corpus::Clearance& clearance, const corpus::Selection& selection,
           std::vector<corpus::Record> records) {
#ifdef RETORT_FORBIDDEN
  const corpus::Cleared<terms::TrainGenerative> cleared(
      std::make_shared<const std::vector<corpus::Record>>(records),
      std::vector<corpus::KeptLogprobs>(), corpus::Permit(), "digest");
  return cleared.size() > 0 && clearance.curate(selection).ok();
#else
  (void)records;
  return clearance.clear<terms::TrainGenerative>(selection).ok();
#endif
}

}  // namespace retort
