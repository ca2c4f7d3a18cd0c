#include "policy/case_json.h"

#include <fmt/core.h>

namespace retort::policy {
namespace {

constexpr const char* kSchema = "retort.case/1";

// Seconds since 1970, as OpenAI's API has it; null for never.
json::Value unix_seconds(int64_t ms) {
  return ms == 0 ? json::Value() : json::Value(ms / 1000);
}

const char* notice_type(const Case& subject) {
  if (subject.over()) return "none";
  return subject.step == Step::suspend ? "deactivation" : "warning";
}

// What the customer can read without knowing the program.
std::string told(const Policy& policy, const Case& subject) {
  if (subject.status == Status::lifted) return "The step was lifted. " + subject.reason;
  if (subject.status == Status::closed) return "The case is closed. " + subject.reason;
  std::string out;
  switch (subject.step) {
    case Step::watch:
      break;
    case Step::warn:
      out = "This is a warning; your requests are answered as before.";
      break;
    case Step::throttle:
      out = fmt::format("Your account is limited to {} requests a minute.",
                        policy.steps.requests_per_minute);
      break;
    case Step::suspend:
      out = "Your account is suspended.";
      break;
  }
  if (subject.proposed) out += " A suspension has been proposed and waits for a person to decide.";
  if (subject.status == Status::appealed) out += " Your appeal is being decided.";
  return out;
}

Result<Case> read(const json::Value& value) {
  Case out;
  RETORT_TRY(const std::string schema, value.string_at("schema"));
  if (schema != kSchema)
    return base::storage_error("this program reads cases of " + std::string(kSchema));
  RETORT_TRY(out.id, value.string_at("id"));
  RETORT_TRY(out.account, value.string_at("account"));
  RETORT_TRY(out.policy, value.string_at("policy"));
  RETORT_TRY(out.clause, value.string_at("clause"));
  RETORT_TRY(const std::string step, value.string_at("step"));
  RETORT_TRY(const std::string status, value.string_at("status"));
  if (!parse_step(step) || !parse_status(status)) return base::storage_error("no such step");
  out.step = *parse_step(step);
  out.status = *parse_status(status);
  RETORT_TRY(out.proposed, value.bool_at("proposed"));
  RETORT_TRY(out.opened_ms, value.int_at("opened_ms"));
  RETORT_TRY(out.step_ms, value.int_at("step_ms"));
  RETORT_TRY(out.step_requests, value.int_at("step_requests"));
  RETORT_TRY(out.appeal_by_ms, value.int_at("appeal_by_ms"));
  RETORT_TRY(out.reason, value.string_at("reason"));
  const auto* finding = value.find("finding");
  const auto* appeal = value.find("appeal");
  if (finding == nullptr || appeal == nullptr) return base::storage_error("no finding or appeal");
  RETORT_TRY(const std::string carries, finding->string_at("carries"));
  if (!parse_step(carries)) return base::storage_error("no such step");
  out.finding.carries = *parse_step(carries);
  RETORT_TRY(out.finding.words, finding->string_at("words"));
  RETORT_TRY(out.finding.evidence, finding->string_at("evidence"));
  RETORT_TRY(out.finding.of_others, finding->bool_at("of_others", false));
  RETORT_TRY(out.appeal.text, appeal->string_at("text"));
  RETORT_TRY(out.appeal.at_ms, appeal->int_at("at_ms"));
  RETORT_TRY(out.appeal.decide_by_ms, appeal->int_at("decide_by_ms"));
  return out;
}

}  // namespace

json::Value to_json(const Case& subject) {
  const auto& finding = subject.finding;
  return json::Value::object(
      {{"schema", kSchema},
       {"id", subject.id},
       {"account", subject.account},
       {"policy", subject.policy},
       {"clause", subject.clause},
       {"step", name(subject.step)},
       {"status", name(subject.status)},
       {"proposed", subject.proposed},
       {"opened_ms", subject.opened_ms},
       {"step_ms", subject.step_ms},
       {"step_requests", subject.step_requests},
       {"appeal_by_ms", subject.appeal_by_ms},
       {"finding", json::Value::object({{"carries", name(finding.carries)},
                                        {"words", finding.words},
                                        {"evidence", finding.evidence},
                                        {"of_others", finding.of_others}})},
       {"appeal", json::Value::object({{"text", subject.appeal.text},
                                       {"at_ms", subject.appeal.at_ms},
                                       {"decide_by_ms", subject.appeal.decide_by_ms}})},
       {"reason", subject.reason}});
}

Result<Case> read_case(std::string_view text, const std::string& where) {
  auto value = json::parse(text, where);
  if (value) {
    auto subject = read(*value);
    if (subject) return subject;
    value = subject.error();
  }
  return base::storage_error(
      "the book holds a case that no program wrote: " + value.error().message, where,
      "restore it from a backup");
}

json::Value customer_json(const Policy& policy, const Case& subject) {
  const std::string path = "/v1/policy/cases/" + subject.id;
  json::Value evidence;
  if (auto parsed = json::parse(subject.finding.evidence); parsed) evidence = std::move(*parsed);
  json::Value appeal;
  if (subject.appeal.at_ms != 0) {
    appeal = json::Value::object({{"text", subject.appeal.text},
                                  {"at", unix_seconds(subject.appeal.at_ms)},
                                  {"decided_by", unix_seconds(subject.appeal.decide_by_ms)}});
  }
  return json::Value::object(
      {{"id", subject.id},
       {"object", "policy.case"},
       {"created_at", unix_seconds(subject.opened_ms)},
       {"step", name(subject.step)},
       {"step_since", unix_seconds(subject.step_ms)},
       {"status", name(subject.status)},
       {"notice", json::Value::object({{"type", notice_type(subject)}})},
       {"clause",
        json::Value::object(
            {{"id", policy.clause.id}, {"text", policy.clause.text}, {"url", policy.clause.url}})},
       {"policy", policy.id},
       {"message", told(policy, subject)},
       {"reason", subject.reason.empty() ? subject.finding.words : subject.reason},
       {"found", subject.finding.words},
       {"evidence", std::move(evidence)},
       {"appeal", std::move(appeal)},
       {"appeal_url", path + "/appeal"},
       {"appeal_by", unix_seconds(subject.appeal_by_ms)},
       {"contact", policy.appeals.contact}});
}

}  // namespace retort::policy
