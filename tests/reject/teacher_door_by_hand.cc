// Only the clearance makes a door that may be asked.
// rejected: is private within this context
#include "corpus/clearance.h"

namespace retort {

bool open(corpus::Clearance& clearance, const corpus::Teaching& teaching) {
#ifdef RETORT_FORBIDDEN
  const corpus::ClearedDoor<terms::TrainGenerative> door(clearance, teaching, corpus::Origin(), 0,
                                                         corpus::Permit());
  return door.still_open().ok();
#else
  return clearance.clear_door<terms::TrainGenerative>(teaching, {}).ok();
#endif
}

}  // namespace retort
