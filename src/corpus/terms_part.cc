#include "corpus/terms_part.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

namespace retort::corpus {
namespace {

char firmness(const terms::Terms* terms) {
  const std::string mode = terms == nullptr ? "" : terms->revocation;
  if (mode == "irrevocable") return '0';
  if (mode == "on-breach") return '1';
  if (mode == "prospective") return '2';
  return '3';
}

}  // namespace

TermsPart terms_part(const Record& record, const terms::TermsSet& known) {
  std::set<std::string> ids;
  for (const auto& reference : record.terms) ids.insert(reference.id);
  TermsPart part{.order = "0", .ids = {ids.begin(), ids.end()}, .label = {}};
  if (ids.empty()) part.order = "3";
  part.order += fmt::format("-{:06}", part.ids.size());
  for (const std::string& id : part.ids) {
    const terms::Terms* terms = known.find(id);
    part.order[0] = std::max(part.order[0], firmness(terms));
    part.order += " " + id;
    part.label +=
        (part.label.empty() ? "" : " + ") + (terms == nullptr ? id.substr(0, 12) : terms->label());
  }
  return part;
}

}  // namespace retort::corpus
