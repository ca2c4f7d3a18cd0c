// Only a view of cleared records hands out parents.
// rejected: is private within this context
#include "corpus/clearance.h"

namespace retort {

void write(corpus::DerivedWriter& writer, const corpus::CurateView& view) {
#ifdef RETORT_FORBIDDEN
  writer.keep(corpus::Parent(corpus::ParentLink(), &view[0], corpus::KeptLogprobs()), "train");
#else
  writer.keep(view.parent(0), "train");
#endif
}

}  // namespace retort
