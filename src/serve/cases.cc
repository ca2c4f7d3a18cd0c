// The customer's side of cases against its account: what they are, and an appeal.
#include "json/value.h"
#include "serve/door_internal.h"

namespace retort::serve {
namespace {

constexpr size_t kCaseAt = 3;  // in the path /v1/policy/cases/CASE

void reply_outcome(const Call& call, const provider::Outcome<json::Value>& outcome) {
  if (const auto* refused = std::get_if<provider::Refused>(&outcome)) {
    tell(call, outcome_of(refused->error));
    return reply_refused(call, *refused);
  }
  reply_json(call, json::dump(std::get<json::Value>(outcome)));
}

// A door without accounts has no customers to have cases.
bool has_cases(const Call& call) {
  if (call.door.provider) return true;
  reply_error(call, openai::make_error(404, "there is nothing at this address", "", "unknown_url"));
  return false;
}

}  // namespace

void answer_cases(Call call) {
  if (has_cases(call)) reply_outcome(call, call.door.provider->cases(*call.visitor));
}

void answer_case(Call call) {
  if (!has_cases(call)) return;
  reply_outcome(call, call.door.provider->find_case(*call.visitor, call.request.path[kCaseAt]));
}

void answer_appeal(Call call) {
  if (!has_cases(call)) return;
  const auto body = json::parse(call.request.body);
  const json::Value* text = body && body->is_object() ? body->find("text") : nullptr;
  if (text == nullptr || !text->is_string()) {
    return reply_error(call, openai::make_error(400, "an appeal is {\"text\": \"why\"}", "text"));
  }
  reply_outcome(call, call.door.provider->appeal(*call.visitor, call.request.path[kCaseAt],
                                                 text->as_string()));
}

void answer_policy(Call call) {
  const json::Value policy =
      call.door.provider ? call.door.provider->published_policy() : json::Value();
  if (policy.is_null()) {
    return reply_error(call, openai::make_error(404, "no policy is published here"));
  }
  reply_json(call, json::dump(policy, 2));
}

}  // namespace retort::serve
