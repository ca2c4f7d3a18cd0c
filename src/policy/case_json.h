// A case as JSON: how it is stored, and what its customer is shown.
#pragma once
#include <string_view>

#include "json/value.h"
#include "policy/case.h"

namespace retort::policy {

json::Value to_json(const Case& subject);
// storage errors: a case that no program wrote.
Result<Case> read_case(std::string_view text, const std::string& where);

// {"id", "object": "policy.case", "created_at", "step", "status", "clause", "reason", "notice",
// "evidence", "appeal", ...}: docs/reference/cases.md. `requests_per_minute` of a throttle stands
// in the policy.
json::Value customer_json(const Policy& policy, const Case& subject);

}  // namespace retort::policy
