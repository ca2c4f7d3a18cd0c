// A record that names no parents cannot be written.
// rejected: no matching|use of deleted|could not convert|cannot convert
#include "corpus/clearance.h"

namespace retort {

void write(corpus::DerivedWriter& writer, const corpus::CurateView& view) {
#ifdef RETORT_FORBIDDEN
  (void)view;
  writer.add(corpus::Parents(), {.messages = {}, .answer = "From nowhere."});
#else
  writer.add(view.parent(0), {.messages = {}, .answer = "From a record."});
#endif
}

}  // namespace retort
