// The words and headers of refusals. Pure.
#pragma once
#include <string>
#include <vector>

#include "provider/provider.h"

namespace retort::provider {

Refused no_key();
Refused wrong_key();
// With its case, where the suspension came from one.
Refused suspended(const accounts::Account& account, const Standing* standing);
Refused throttled(const Standing& standing, const accounts::Refusal& refusal, int64_t now_ms);
Refused unknown_case();
Refused no_appeal(const std::string& hindrance);
// retort-policy-case and retort-policy-step, for a case that its customer is to know of.
http::Headers case_headers(const Standing* standing);

Refused wrong_address(std::string_view address);
Refused not_allowed(const char* what, std::string_view name);  // "model", "small-1"
// What a stream ends with: its account was suspended; its place may be somebody else's.
openai::ApiError suspended_meanwhile();
openai::ApiError place_lost();
Refused no_price(const std::string& model);
Refused unavailable(const Error& error);
Refused over_limit(const accounts::Refusal& refusal, int64_t now_ms);

// OpenAI's six headers from how the limits stand: the tightest of requests, the tightest of tokens.
http::Headers rate_headers(const std::vector<accounts::Standing>& standing, int64_t now_ms);
// "250ms", "6m0s", "1h30m0s", as OpenAI writes them.
std::string reset_text(int64_t duration_ms);

}  // namespace retort::provider
