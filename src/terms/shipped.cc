#include "terms/shipped_internal.h"

#include <fmt/core.h>

#include <algorithm>

namespace retort::terms {
namespace {

bool matches_one(std::string_view patterns, std::string_view text) {
  while (!patterns.empty()) {
    const size_t end = std::min(patterns.find(' '), patterns.size());
    if (matches(patterns.substr(0, end), text)) return true;
    patterns.remove_prefix(std::min(end + 1, patterns.size()));
  }
  return false;
}

bool names_a_model(const Pin& pin, const Facts& facts) {
  return std::any_of(facts.models.begin(), facts.models.end(),
                     [&pin](const std::string& model) { return matches_one(pin.models, model); });
}

// Weights have no door: of them those readings speak that speak of one's own machine, or of a model
// wherever it runs. Where nobody said on which plan, it may be any.
bool restricts(const Pin& pin, const Facts& facts) {
  if (facts.object == Object::texts) return false;
  if (facts.object == Object::weights) {
    return (pin.endpoints.empty() || matches_one(pin.endpoints, "http://localhost/v1")) &&
           names_a_model(pin, facts);
  }
  return (!pin.endpoints.empty() || !pin.models.empty()) &&
         (pin.endpoints.empty() || matches_one(pin.endpoints, facts.endpoint)) &&
         (pin.plans.empty() || facts.plan.empty() || matches_one(pin.plans, facts.plan)) &&
         (pin.models.empty() || names_a_model(pin, facts));
}

bool restricts_anything(const Terms& terms) {
  const bool forbids = std::any_of(terms.rules.begin(), terms.rules.end(), [](const Rule& rule) {
    return rule.effect == Effect::prohibit;
  });
  return forbids || std::any_of(terms.duties.begin(), terms.duties.end(),
                                [](const Duty& duty) { return duty.object != Object::weights; });
}

std::string joined(const std::vector<std::string>& patterns) {
  std::string out;
  for (const auto& pattern : patterns) out += (out.empty() ? "" : " ") + pattern;
  return out;
}

}  // namespace

bool is_shipped_series(std::string_view series) {
  const auto& pins = pinned_readings();
  return std::any_of(pins.begin(), pins.end(),
                     [series](const Pin& pin) { return pin.series == series; });
}

std::vector<const Pin*> shipped_for(const Facts& facts) {
  std::vector<const Pin*> out;
  for (const Pin& pin : pinned_readings()) {
    const auto same = [&pin](const Pin* other) { return other->series == pin.series; };
    if (restricts(pin, facts) && std::none_of(out.begin(), out.end(), same)) out.push_back(&pin);
  }
  return out;
}

std::string pin_line(const std::string& file, const Terms& terms) {
  std::string out = fmt::format("{{\"{}\", \"{}\", \"{}\"", file, terms.id, terms.series);
  const auto& applies = terms.applies;
  const bool particular = !applies.endpoints.empty() || !applies.models.empty();
  if (particular && restricts_anything(terms)) {
    out += fmt::format(", \"{}\", \"{}\", \"{}\"", joined(applies.endpoints), joined(applies.plans),
                       joined(applies.models));
  }
  return out + "},";
}

}  // namespace retort::terms
