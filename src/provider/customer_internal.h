// What customers are shown at the desk: their cases, the policy, the terms of their answers.
#pragma once
#include "provider/desk_internal.h"

namespace retort::provider {

Outcome<json::Value> cases_of(Desk& desk, const Visitor& visitor);
Outcome<json::Value> case_of(Desk& desk, const Visitor& visitor, const std::string& id);
Outcome<json::Value> take_appeal(Desk& desk, const Visitor& visitor, const std::string& id,
                                 const std::string& text);
http::Headers licence_headers(Desk& desk, const accounts::Account& account);
json::Value policy_document(Desk& desk);

}  // namespace retort::provider
