#include <algorithm>

#include "terms/binding_internal.h"
#include "terms/shipped_internal.h"

namespace retort::terms {

Binding binding_versions(const Terms& named, const TermsSet& known, int64_t captured_ms) {
  Binding out;
  const bool shipped = is_shipped_series(named.series);
  for (const Terms* terms : known.versions(named.series)) {
    const bool in_force = terms->effective_ms <= captured_ms && captured_ms < terms->until_ms;
    const bool reaches_back =
        terms->effective_ms > captured_ms && terms->retroactive == Retroactive::yes;
    if (reaches_back || (in_force && shipped && !terms->pinned && !terms->is_signed)) {
      out.beside.push_back(terms);
    } else if (in_force) {
      auto& now = out.in_force;
      if (!now.empty() && terms->effective_ms > now[0]->effective_ms) now.clear();
      if (now.empty() || terms->effective_ms == now[0]->effective_ms) now.push_back(terms);
    }
  }
  auto& now = out.in_force;
  if (std::any_of(now.begin(), now.end(), [](const Terms* t) { return t->is_signed; })) {
    std::erase_if(now, [](const Terms* terms) { return terms->pinned; });
  }
  return out;
}

}  // namespace retort::terms
