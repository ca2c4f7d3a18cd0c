// A shard shows no text; a clearance does.
// rejected: is private within this context|has no member named
#include "corpus/shard.h"

namespace retort {

bool look(const corpus::Shard& shard, ledger::Ledger& log) {
#ifdef RETORT_FORBIDDEN
  return shard.records().size() > 0 && corpus::verify(shard, log).ok();
#else
  return shard.size_bytes() > 0 && corpus::verify(shard, log).ok();
#endif
}

}  // namespace retort
