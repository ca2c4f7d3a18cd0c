// Cases: the list, one with everything that it rests on, a person's decision.
#include "admin/office_internal.h"
#include "policy/case_json.h"
#include "provider/administration.h"

namespace retort::admin {
namespace {

constexpr size_t kCaseAt = 3;  // in the path /admin/v1/cases/CASE

json::Value row_json(const policy::Case& subject, const accounts::Account& account) {
  return json::Value::object(
      {{"id", subject.id},
       {"account", account.id},
       {"name", account.name},
       {"step", policy::name(subject.step)},
       {"status", policy::name(subject.status)},
       {"proposed", subject.proposed},
       {"carries", policy::name(subject.finding.carries)},
       {"words", subject.finding.words},
       {"opened_ms", subject.opened_ms},
       {"step_ms", subject.step_ms},
       {"appealed_ms", subject.appeal.at_ms},
       {"decide_by_ms",
        subject.status == policy::Status::appealed ? subject.appeal.decide_by_ms : 0}});
}

Result<json::Value> list_json(const Ask& ask, bool all) {
  RETORT_TRY(const auto cases, ask.office.cases->list({.only_open = !all}));
  json::Value data = json::Value::array();
  for (const auto& one : cases) {
    RETORT_TRY(const auto account, ask.office.book->account(one.account));
    data.push(row_json(one, account));
  }
  return json::Value::object({{"data", std::move(data)}});
}

json::Value policy_json(const policy::Policy& policy) {
  const auto& bounds = policy.bounds;
  const auto& steps = policy.steps;
  return json::Value::object(
      {{"id", policy.id},
       {"series", policy.series},
       {"version", policy.version},
       {"clause",
        json::Value::object(
            {{"id", policy.clause.id}, {"text", policy.clause.text}, {"url", policy.clause.url}})},
       {"bounds", json::Value::object({{"warn", bounds.warn},
                                       {"throttle", bounds.throttle},
                                       {"suspend", bounds.suspend},
                                       {"cluster", bounds.cluster},
                                       {"family_p", bounds.family_p},
                                       {"families", bounds.families}})},
       {"steps", json::Value::object({{"warn_minutes", steps.warn_minutes},
                                      {"warn_requests", steps.warn_requests},
                                      {"throttle_minutes", steps.throttle_minutes},
                                      {"throttle_requests", steps.throttle_requests},
                                      {"requests_per_minute", steps.requests_per_minute},
                                      {"automatic", steps.automatic}})},
       {"appeal_days", policy.appeals.days},
       {"decision_days", policy.appeals.decision_days}});
}

// What policy::decide would take now, by trying it on a copy: one place says what fits a case.
json::Value decisions_json(const policy::Policy& policy, const policy::Case& subject,
                           int64_t now_ms) {
  json::Value out = json::Value::array();
  for (const char* word : {"confirm", "uphold", "lift", "close"}) {
    policy::Case copy = subject;
    const auto decision = policy::parse_decision(word);
    if (decision && policy::decide(policy, copy, *decision, "tried", now_ms)) out.push(word);
  }
  return out;
}

Result<json::Value> case_json(Office& office, const std::string& id) {
  RETORT_TRY(const auto subject, office.cases->find(id));
  RETORT_TRY(const auto account, office.book->account(subject.account));
  RETORT_TRY(const auto policy, office.cases->policy(subject.policy));
  RETORT_TRY(const auto events, office.cases->events(id));
  RETORT_TRY(auto watched, office.watched(account));
  json::Value out = row_json(subject, account);
  json::Value events_out = json::Value::array();
  for (const auto& event : events) events_out.push(provider::event_json(event));
  json::Value evidence;
  if (auto parsed = json::parse(subject.finding.evidence); parsed) evidence = std::move(*parsed);
  json::Value appeal;
  if (subject.appeal.at_ms != 0) {
    appeal = json::Value::object({{"text", subject.appeal.text},
                                  {"at_ms", subject.appeal.at_ms},
                                  {"decide_by_ms", subject.appeal.decide_by_ms}});
  }
  out.set("step_requests", subject.step_requests).set("appeal_by_ms", subject.appeal_by_ms);
  out.set("reason", subject.reason).set("appeal", std::move(appeal));
  out.set("account_of", provider::account_json(account));
  out.set("policy_of", policy_json(policy));
  out.set("decisions", decisions_json(policy, subject, office.clock->wall_ms()));
  out.set("events", std::move(events_out));
  out.set("evidence", std::move(evidence));
  out.set("watched", std::move(watched));
  return out;
}

}  // namespace

Answer answer_cases(const Ask& ask) {
  const auto all = query_of(ask.request, "all");
  if (!all) return openai::make_error(400, "all is 1 or left out", "all");
  return answer_of(list_json(ask, *all == "1"));
}

Answer answer_case(const Ask& ask) {
  return answer_of(case_json(ask.office, ask.request.path[kCaseAt]));
}

Answer answer_decide(const Ask& ask) {
  const auto decision = text_of(ask, "decision");
  if (!decision) return decision.error();
  const auto reason = text_of(ask, "reason");
  if (!reason) return reason.error();
  const std::string& id = ask.request.path[kCaseAt];
  Office& office = ask.office;
  const auto decided = provider::decide({*office.book, *office.cases}, {id, *decision, *reason},
                                        provider::actor_of(ask.who.key), office.clock->wall_ms());
  if (!decided) return error_of(decided.error());
  return answer_of(case_json(office, id));
}

}  // namespace retort::admin
