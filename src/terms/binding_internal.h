// Which versions of a series bind what was captured on some day.
#pragma once
#include <cstdint>
#include <vector>

#include "terms/terms.h"

namespace retort::terms {

struct Binding {
  // The version in force at that time. Two readings of one day both bind, but for a signed one,
  // which takes the place of the shipped one of its day. None: there is no version of that day.
  std::vector<const Terms*> in_force;
  // What binds as well: later versions that reach back, unsigned own readings of a shipped series.
  std::vector<const Terms*> beside;
};
Binding binding_versions(const Terms& named, const TermsSet& known, int64_t captured_ms);

}  // namespace retort::terms
