#include <fmt/core.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "terms/evaluate.h"

namespace retort::terms {
namespace {

// Two names can both be kept when one begins with the other.
bool contradict(const std::string& a, const std::string& b) {
  return a.rfind(b, 0) != 0 && b.rfind(a, 0) != 0;
}

std::tuple<std::string_view, std::string_view> key(const OwedDuty& owed) {
  return {owed.label, owed.duty.name_prefix};
}

void find_contradictions(Verdict& verdict) {
  for (size_t i = 0; i < verdict.duties.size(); ++i) {
    for (size_t k = i + 1; k < verdict.duties.size(); ++k) {
      const auto* one = &verdict.duties[i];
      const auto* other = &verdict.duties[k];
      if (!contradict(one->duty.name_prefix, other->duty.name_prefix)) continue;
      // One sentence for the two, whichever was found first.
      if (key(*other) < key(*one)) std::swap(one, other);
      Finding finding;
      finding.action = Action::publish_model;
      finding.reason =
          fmt::format("no name can meet both duties: {} wants it to begin with “{}”, {} with “{}”",
                      one->label, one->duty.name_prefix, other->label, other->duty.name_prefix);
      finding.need = "leave out the records of one of them, or do not distribute the model";
      verdict.decision = Decision::deny;
      auto& all = verdict.findings;
      if (std::find(all.begin(), all.end(), finding) == all.end()) all.push_back(finding);
    }
  }
}

}  // namespace

const char* name(Decision decision) {
  switch (decision) {
    case Decision::deny:
      return "deny";
    case Decision::needs_declaration:
      return "needs_declaration";
    case Decision::permit_with_duties:
      return "permit_with_duties";
    case Decision::permit:
      return "permit";
  }
  return "?";
}

std::string Finding::sentence() const {
  std::string out;
  if (!series.empty()) out = fmt::format("{} {}: ", series, version);
  if (effect) out += fmt::format("{} ", name(*effect));
  if (effect || !series.empty()) out += name(action);
  if (!clause.empty()) out += fmt::format(" ({})", clause);
  if (!out.empty()) out += ": ";
  return out + reason;
}

Verdict meet(Verdict a, const Verdict& b) {
  a.decision = std::min(a.decision, b.decision);
  for (const auto& finding : b.findings) {
    if (std::find(a.findings.begin(), a.findings.end(), finding) == a.findings.end()) {
      a.findings.push_back(finding);
    }
  }
  for (const auto& owed : b.duties) {
    if (std::find(a.duties.begin(), a.duties.end(), owed) == a.duties.end()) {
      a.duties.push_back(owed);
    }
  }
  for (const auto& one : b.declared) {
    if (std::find(a.declared.begin(), a.declared.end(), one) == a.declared.end()) {
      a.declared.push_back(one);
    }
  }
  find_contradictions(a);
  return a;
}

}  // namespace retort::terms
