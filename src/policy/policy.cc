#include "policy/policy.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/clock.h"
#include "base/files.h"
#include "crypto/hash.h"
#include "json/table.h"
#include "json/value.h"

namespace retort::policy {
namespace {

constexpr int64_t kBytesMax = 32 * 1024;  // fits one entry of the log
constexpr int64_t kMinutesMax = 365 * 24 * 60;
constexpr int64_t kSketchDaysMax = 36'500;
constexpr std::array<const char*, 4> kSteps = {"watch", "warn", "throttle", "suspend"};
constexpr std::array<const char*, 3> kLicences = {"forbidden", "non-competing", "allowed"};

Result<void> read_time(const json::Value* value, const std::string& where, Policy& policy) {
  json::Table table(value, where + ": [time]");
  for (const char* key : {"announced", "effective"}) table.required(key);
  const std::string announced = table.date("announced");
  const std::string effective = table.date("effective");
  RETORT_TRY_VOID(table.finish());
  policy.announced_ms = base::parse_iso_date(announced);
  policy.effective_ms = base::parse_iso_date(effective);
  if (policy.effective_ms < policy.announced_ms) {
    table.fail("it takes effect before it is announced", "effective");
  }
  return table.finish();
}

Result<void> read_clause(const json::Value* value, const std::string& where, Clause& clause) {
  json::Table table(value, where + ": [clause]");
  clause.id = table.required("id");
  clause.text = table.required("text");
  clause.url = table.text("url");
  return table.finish();
}

Result<void> read_evidence(const json::Value* value, const std::string& where,
                           ErrorBounds& bounds) {
  json::Table table(value, where + ": [evidence]");
  const std::array<std::pair<const char*, double*>, 5> chances = {
      {{"false_warning", &bounds.warn},
       {"false_throttle", &bounds.throttle},
       {"false_suspension", &bounds.suspend},
       {"false_cluster", &bounds.cluster},
       {"family_p", &bounds.family_p}}};
  for (const auto& [key, chance] : chances) {
    *chance = table.number(key, *chance);
    if (*chance <= 0 || *chance > 0.2) table.fail("a chance above 0 and of at most 0.2", key);
  }
  bounds.families = table.integer("families", bounds.families);
  if (bounds.suspend > bounds.throttle || bounds.throttle > bounds.warn) {
    table.fail("a graver step is allowed to be wrong no more often than a milder one");
  }
  if (bounds.families < 2 || bounds.families > 8) {
    table.fail("a suspension rests on two independent kinds of evidence or more, of eight",
               "families");
  }
  return table.finish();
}

Result<void> read_steps(const json::Value* value, const std::string& where, Steps& steps) {
  json::Table table(value, where + ": [steps]");
  steps.warn_minutes = table.integer("warn_minutes", steps.warn_minutes);
  steps.warn_requests = table.integer("warn_requests", steps.warn_requests);
  steps.throttle_minutes = table.integer("throttle_minutes", steps.throttle_minutes);
  steps.throttle_requests = table.integer("throttle_requests", steps.throttle_requests);
  steps.requests_per_minute =
      table.integer("throttle_requests_per_minute", steps.requests_per_minute);
  steps.automatic = table.word("suspension", {"human", "automatic"}, 0) == 1;
  if (std::max(steps.warn_minutes, steps.throttle_minutes) > kMinutesMax) {
    table.fail("a step that lasts for more than a year is none");
  }
  if (steps.warn_requests < 1) {
    table.fail("a warning is seen by one request or more", "warn_requests");
  }
  if (steps.requests_per_minute < 1) {
    table.fail("a throttled account may ask now and then; to stop it is a suspension",
               "throttle_requests_per_minute");
  }
  return table.finish();
}

Result<void> read_appeals(const json::Value* value, const std::string& where, Appeals& appeals) {
  json::Table table(value, where + ": [appeal]");
  appeals.days = table.integer("days", appeals.days);
  appeals.decision_days = table.integer("decision_days", appeals.decision_days);
  appeals.contact = table.required("contact");
  if (appeals.days < 7 || appeals.days > 3650) {
    table.fail("a customer has from 7 days to ten years", "days");
  }
  if (appeals.decision_days < 1 || appeals.decision_days > 90) {
    table.fail("an appeal is decided within 1 to 90 days", "decision_days");
  }
  return table.finish();
}

Result<void> read_plans(const json::Value* value, const std::string& where, Policy& policy) {
  json::Table plans(value, where + ": [plan]");
  for (const char* licence : kLicences) plans.known(licence);
  RETORT_TRY_VOID(plans.finish());
  for (const char* licence : kLicences) {
    const auto* plan = value == nullptr ? nullptr : value->find(licence);
    if (plan == nullptr) continue;
    json::Table table(plan, fmt::format("{}: [plan.{}]", where, licence));
    Plan read{table.required("terms"), table.text("content_usage")};
    RETORT_TRY_VOID(table.finish());
    policy.plans.emplace(licence, std::move(read));
  }
  return {};
}

Result<Policy> read_document(const json::Value& document, const std::string& where) {
  Policy policy;
  json::Table top(&document, where);
  if (top.required("schema") != "retort.policy/1") {
    top.fail("this program reads policies of schema retort.policy/1", "schema");
  }
  policy.series = top.required("series");
  policy.version = top.required("version");
  for (const char* key : {"time", "clause", "evidence", "steps", "appeal", "retention", "plan"}) {
    top.known(key);
  }
  RETORT_TRY_VOID(top.finish());
  RETORT_TRY_VOID(read_time(document.find("time"), where, policy));
  RETORT_TRY_VOID(read_clause(document.find("clause"), where, policy.clause));
  RETORT_TRY_VOID(read_evidence(document.find("evidence"), where, policy.bounds));
  RETORT_TRY_VOID(read_steps(document.find("steps"), where, policy.steps));
  RETORT_TRY_VOID(read_appeals(document.find("appeal"), where, policy.appeals));
  json::Table retention(document.find("retention"), where + ": [retention]");
  policy.sketch_days = retention.integer("sketch_days", policy.sketch_days);
  if (policy.sketch_days > kSketchDaysMax) {
    retention.fail("sketches are kept for a hundred years at most", "sketch_days");
  }
  RETORT_TRY_VOID(retention.finish());
  RETORT_TRY_VOID(read_plans(document.find("plan"), where, policy));
  return policy;
}

}  // namespace

const char* name(Step step) {
  return kSteps[static_cast<size_t>(step)];
}

std::optional<Step> parse_step(std::string_view text) {
  const auto found = std::find(kSteps.begin(), kSteps.end(), text);
  if (found == kSteps.end()) return std::nullopt;
  return static_cast<Step>(found - kSteps.begin());
}

Result<Policy> parse_policy(std::string_view toml, std::string_view where) {
  if (std::ssize(toml) > kBytesMax) {
    return base::bad_input("a policy has at most 32 KiB", std::string(where),
                           "link to long texts instead");
  }
  RETORT_TRY(const auto document, json::parse_toml(toml, where));
  RETORT_TRY(auto policy, read_document(document, std::string(where)));
  policy.id = crypto::sha256_hex(json::canonical(document));
  policy.text = std::string(toml);
  return policy;
}

Result<Policy> load_policy(const std::string& path) {
  RETORT_TRY(const auto text, base::read_file(path, int64_t{1} << 20));
  return parse_policy(text, path);
}

const Policy* binding(const std::vector<Policy>& versions, int64_t at_ms) {
  const Policy* latest = nullptr;
  for (const auto& one : versions) {
    if (one.effective_ms > at_ms) continue;
    if (latest == nullptr || one.effective_ms >= latest->effective_ms) latest = &one;
  }
  return latest;
}

}  // namespace retort::policy
