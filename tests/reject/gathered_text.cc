// What is gathered can be counted, but not read before it was sealed and cleared.
// rejected: has no member named
#include "corpus/gathering.h"

namespace retort {

size_t look(const corpus::Gathering::DoneInfo& info) {
#ifdef RETORT_FORBIDDEN
  return info.text.size();
#else
  return info.finish_reason.size();
#endif
}

}  // namespace retort
