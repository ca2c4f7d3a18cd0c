// ODRL 2.2 as JSON-LD (W3C, 15 February 2018). ODRL has no words for a model's answers,
// competition, names of models or teachers: they are in the profile (kOdrlProfile, here "retort:").
#include <fmt/core.h>

#include "json/value.h"
#include "terms/formats_internal.h"

namespace retort::terms {
namespace {

using json::Value;

Value texts(const std::vector<std::string>& list) {
  Value out = Value::array();
  for (const auto& text : list) out.push(text);
  return out;
}

Value constraint(std::string operand, const char* operation, Value right) {
  return Value::object({{"leftOperand", std::move(operand)},
                        {"operator", operation},
                        {"rightOperand", std::move(right)}});
}

Value date(const std::string& day) {
  return Value::object({{"@value", day}, {"@type", "xsd:date"}});
}

// The answers, weights or texts at these doors.
Value target(const Terms& terms, Object object) {
  Value refinements = Value::array();
  const Applies& applies = terms.applies;
  const auto any_of = [&refinements](const char* operand, const std::vector<std::string>& list) {
    if (!list.empty()) refinements.push(constraint(operand, "isAnyOf", texts(list)));
  };
  any_of("retort:endpoint", applies.endpoints);
  any_of("retort:plan", applies.plans);
  any_of("retort:model", applies.models);
  any_of("retort:modality", applies.modality);
  if (!applies.features_excluded.empty()) {
    refinements.push(constraint("retort:feature", "isNoneOf", texts(applies.features_excluded)));
  }
  Value out = Value::object(
      {{"@type", "AssetCollection"}, {"source", std::string("retort:") + name(object)}});
  if (!refinements.as_array().empty()) out.set("refinement", std::move(refinements));
  return out;
}

Value constraints(const Terms& terms, const Rule& rule) {
  Value out = Value::array();
  const std::string& from = terms.effective.empty() ? terms.observed : terms.effective;
  out.push(constraint("retort:captured", "gteq", date(from)));
  if (!terms.until.empty()) out.push(constraint("retort:captured", "lt", date(terms.until)));
  if (rule.scope != Scope::any) {
    out.push(constraint("purpose", "eq",
                        Value::object({{"@id", std::string("retort:") + name(rule.scope)}})));
  }
  if (!rule.unless.empty()) {
    out.push(constraint("retort:exception", "neq", rule.unless));
  }
  return out;
}

Value duty(const char* action, const std::string& what) {
  return Value::object({{"action", action}, {"retort:text", what}});
}

// Owed when the model is given to others, so a duty of publishing.
Value duties(const Terms& terms, Object object) {
  Value out = Value::array();
  for (const Duty& one : terms.duties) {
    if (!one.binds(object)) continue;
    if (!one.name_prefix.empty()) out.push(duty("retort:beginName", one.name_prefix));
    for (const auto& line : one.display) out.push(duty("attribute", line));
    if (!one.licence_copy.empty()) out.push(duty("retort:passOnLicence", one.licence_copy));
    if (!one.notice.empty()) out.push(duty("inform", one.notice));
    if (!one.use_policy.empty()) out.push(duty("nextPolicy", one.use_policy));
    if (one.mau_limit > 0) out.push(duty("retort:limitUsers", std::to_string(one.mau_limit)));
  }
  return out;
}

Value rule_json(const Terms& terms, const Rule& rule) {
  Value out = Value::object({{"target", target(terms, rule.object)},
                             {"action", std::string("retort:") + name(rule.action)},
                             {"constraint", constraints(terms, rule)}});
  if (!rule.clause.empty()) out.set("retort:clause", rule.clause);
  if (!rule.text.empty()) out.set("retort:text", rule.text);
  if (rule.effect == Effect::permit && rule.action == Action::publish_model) {
    Value owed = duties(terms, rule.object);
    if (!owed.as_array().empty()) out.set("duty", std::move(owed));
  }
  return out;
}

Value reading(const Terms& terms) {
  return Value::object({{"retort:reader", terms.reader},
                        {"retort:role", terms.role},
                        {"retort:on", terms.reviewed_on},
                        {"retort:basis", name(terms.basis)},
                        {"retort:silence", terms.silence_permits ? "permit" : "deny"},
                        {"retort:documentSha256", terms.doc_sha256},
                        {"retort:clauseSha256", terms.clause_sha256},
                        {"retort:archive", terms.archive},
                        {"retort:revocation", terms.revocation},
                        {"retort:retroactive", name(terms.retroactive)}});
}

}  // namespace

Result<Exported> to_odrl(const Terms& terms) {
  Value permissions = Value::array();
  Value prohibitions = Value::array();
  for (const Rule& rule : terms.rules) {
    (rule.effect == Effect::permit ? permissions : prohibitions).push(rule_json(terms, rule));
  }
  if (terms.rules.empty()) {
    return base::bad_input(
        fmt::format("{} has no rule, and an ODRL policy needs one", terms.label()));
  }
  Value context = Value::array();
  context.push("http://www.w3.org/ns/odrl.jsonld");
  context.push(Value::object({{"retort", kOdrlProfile},
                              {"vcard", "http://www.w3.org/2006/vcard/ns#"},
                              {"dct", "http://purl.org/dc/terms/"},
                              {"xsd", "http://www.w3.org/2001/XMLSchema#"}}));
  Value assigner = Value::object({{"@type", "vcard:Organization"}, {"vcard:fn", terms.assigner}});
  Value policy = Value::object({{"@context", std::move(context)},
                                {"@type", "Offer"},
                                {"uid", "https://retort.local/retort/terms/" + terms.id},
                                {"profile", kOdrlProfile},
                                {"conflict", "prohibit"},
                                {"assigner", std::move(assigner)},
                                {"dct:title", terms.label()}});
  if (!terms.url.empty()) policy.set("dct:source", terms.url);
  if (!permissions.as_array().empty()) policy.set("permission", std::move(permissions));
  if (!prohibitions.as_array().empty()) policy.set("prohibition", std::move(prohibitions));
  policy.set("retort:reading", reading(terms));
  Exported out;
  out.text = json::dump(policy, 2) + "\n";
  return out;
}

}  // namespace retort::terms
