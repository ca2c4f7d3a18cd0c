// A derived record's terms are those of its parents; the caller cannot say others.
// rejected: has no non-static data member named|designated
#include "corpus/clearance.h"

namespace retort {

void write(corpus::DerivedWriter& writer, const corpus::CurateView& view) {
#ifdef RETORT_FORBIDDEN
  writer.add(view.parent(0), corpus::Derived{.answer = "Mine.", .terms = {}});
#else
  writer.add(view.parent(0), corpus::Derived{.answer = "Of its parent's terms."});
#endif
}

}  // namespace retort
