// Terms in the words of others, as far as those have words: ODRL 2.2 (a policy with a profile for
// what ODRL lacks), IETF aipref (draft-ietf-aipref-vocab, Content-Usage), RSL 1.0, TDMRep (W3C CG
// report of 10 May 2024). What a format cannot say is never rounded to a yes: it is left out and
// told. docs/reference/terms.md has the mapping. Pure; safe from any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "terms/terms.h"

namespace retort::terms {

struct Exported {
  std::string text;
  // A sentence for each thing that the format cannot say; part of `text` too where the format has
  // comments.
  std::vector<std::string> unsaid;
};

// "odrl", "aipref", "rsl", "tdmrep".
const std::vector<std::string>& export_formats();
// bad_input, with why, where the format could say nothing of these terms.
Result<Exported> export_terms(const Terms& terms, std::string_view format);

// The namespace of the ODRL profile: actions, operands and duties that ODRL's own vocabulary lacks.
inline constexpr const char* kOdrlProfile = "https://retort.local/retort/ns/terms#";

}  // namespace retort::terms
