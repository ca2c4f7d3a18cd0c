#include "provider/customer_internal.h"

#include <fmt/core.h>

#include "base/clock.h"
#include "policy/case_json.h"
#include "provider/refusals_internal.h"

namespace retort::provider {
namespace {

constexpr size_t kAppealBytesMax = 32 * 1024;

json::Value published(const policy::Policy& policy) {
  json::Value plans = json::Value::object();
  for (const auto& [licence, plan] : policy.plans) {
    plans.set(licence, json::Value::object(
                           {{"terms", plan.terms_url}, {"content_usage", plan.content_usage}}));
  }
  return json::Value::object({{"id", policy.id},
                              {"series", policy.series},
                              {"version", policy.version},
                              {"announced", base::iso_date(policy.announced_ms)},
                              {"effective", base::iso_date(policy.effective_ms)},
                              {"clause", json::Value::object({{"id", policy.clause.id},
                                                              {"text", policy.clause.text},
                                                              {"url", policy.clause.url}})},
                              {"appeal_days", policy.appeals.days},
                              {"decision_days", policy.appeals.decision_days},
                              {"contact", policy.appeals.contact},
                              {"plans", std::move(plans)},
                              {"text", policy.text}});
}

Outcome<json::Value> shown(Desk& desk, const policy::Case& subject) {
  const auto policy = desk.policy_of(subject);
  if (!policy) return unavailable(policy.error());
  return policy::customer_json(*policy, subject);
}

}  // namespace

Outcome<json::Value> cases_of(Desk& desk, const Visitor& visitor) {
  const auto all = desk.list(visitor.principal->account.id);
  if (!all) return unavailable(all.error());
  json::Value data = json::Value::array();
  for (const auto& one : *all) {
    auto value = shown(desk, one);
    if (auto* refused = std::get_if<Refused>(&value)) return std::move(*refused);
    data.push(std::move(std::get<json::Value>(value)));
  }
  return json::Value::object({{"object", "list"}, {"data", std::move(data)}, {"has_more", false}});
}

Outcome<json::Value> case_of(Desk& desk, const Visitor& visitor, const std::string& id) {
  const auto found = desk.find(visitor.principal->account.id, id);
  if (!found) return unavailable(found.error());
  if (!*found) return unknown_case();
  return shown(desk, **found);
}

Outcome<json::Value> take_appeal(Desk& desk, const Visitor& visitor, const std::string& id,
                                 const std::string& text) {
  if (text.empty() || text.size() > kAppealBytesMax) {
    return Refused{openai::make_error(
        400, fmt::format("text must say why, in 1 to {} bytes", kAppealBytesMax), "text")};
  }
  const auto found = desk.find(visitor.principal->account.id, id);
  if (!found) return unavailable(found.error());
  if (!*found) return unknown_case();
  const auto taken = desk.appeal(**found, visitor.principal->key.id, text);
  if (!taken) return unavailable(taken.error());
  if (!taken->subject) return no_appeal(taken->hindrance);
  return shown(desk, *taken->subject);
}

http::Headers licence_headers(Desk& desk, const accounts::Account& account) {
  const auto binding = desk.binding();
  http::Headers headers;
  headers.reserve(3);
  if (binding.now) {
    const auto plan = binding.now->plans.find(accounts::name(account.training));
    if (plan != binding.now->plans.end()) {
      headers.emplace_back("Link", "<" + plan->second.terms_url + ">; rel=\"license\"");
      if (!plan->second.content_usage.empty()) {
        headers.emplace_back("Content-Usage", plan->second.content_usage);
      }
    }
  }
  if (binding.next)
    headers.emplace_back("retort-policy-change", base::iso_date(binding.next->effective_ms));
  return headers;
}

json::Value policy_document(Desk& desk) {
  const auto binding = desk.binding();
  if (!binding.now && !binding.next) return {};
  json::Value out = json::Value::object({{"object", "policy"}});
  out.set("binding", binding.now ? published(*binding.now) : json::Value());
  out.set("announced", binding.next ? published(*binding.next) : json::Value());
  return out;
}

}  // namespace retort::provider
