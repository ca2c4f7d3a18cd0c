#include <fmt/core.h>

#include <algorithm>

#include "base/clock.h"
#include "base/log.h"
#include "base/progress.h"
#include "provider/refusals_internal.h"

namespace retort::provider {
namespace {

constexpr int64_t kSoon_ms = 60'000;  // a client that waits so long does not give up

Refused never_again(openai::ApiError error) {
  return {std::move(error), {{"x-should-retry", "false"}}};
}

bool counts_tokens(accounts::Resource resource) {
  return resource == accounts::Resource::input_tokens ||
         resource == accounts::Resource::output_tokens;
}

std::string words(const accounts::Limit& limit) {
  std::string resource = accounts::name(limit.resource);
  std::replace(resource.begin(), resource.end(), '_', ' ');
  if (limit.resource == accounts::Resource::cost_micros) resource = "millionths of the currency";
  if (limit.resource == accounts::Resource::parallel) {
    return fmt::format("{} requests at once", base::grouped(limit.most));
  }
  return fmt::format("{} {} a {}", base::grouped(limit.most), resource,
                     accounts::name(limit.window));
}

const char* error_type(accounts::Resource resource) {
  if (resource == accounts::Resource::requests) return "requests";
  if (counts_tokens(resource)) return "tokens";
  return resource == accounts::Resource::parallel ? "requests" : "insufficient_quota";
}

struct RateNames {
  const char *limit, *remaining, *reset;
};
constexpr RateNames kRequestNames = {"x-ratelimit-limit-requests", "x-ratelimit-remaining-requests",
                                     "x-ratelimit-reset-requests"};
constexpr RateNames kTokenNames = {"x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens",
                                   "x-ratelimit-reset-tokens"};

void add_three(http::Headers& headers, const RateNames& names, const accounts::Standing* standing,
               int64_t now_ms) {
  if (standing == nullptr) return;
  headers.emplace_back(names.limit, std::to_string(standing->most));
  headers.emplace_back(names.remaining, std::to_string(standing->remaining));
  headers.emplace_back(names.reset, reset_text(std::max<int64_t>(0, standing->resets_ms - now_ms)));
}

}  // namespace

Refused no_key() {
  return {openai::make_error(401,
                             "You didn't provide an API key. Send it as Authorization: Bearer "
                             "YOUR_KEY.",
                             "", "invalid_api_key")};
}

Refused wrong_key() {
  return {openai::make_error(401, "Incorrect API key provided.", "", "invalid_api_key")};
}

// What a program needs to find its case and to appeal.
void add_case(openai::ApiError& error, const Standing& standing) {
  const std::string path = "/v1/policy/cases/" + standing.subject.id;
  error.more = {{"case_id", standing.subject.id},
                {"clause", standing.policy->clause.id},
                {"case_url", path},
                {"appeal_url", path + "/appeal"},
                {"contact", standing.policy->appeals.contact}};
  if (standing.subject.appeal_by_ms != 0) {
    error.more.emplace_back("appeal_by", base::iso_time(standing.subject.appeal_by_ms));
  }
}

// 403, so that clients do not take it for a mistyped key and do not ask again.
Refused suspended(const accounts::Account& account, const Standing* standing) {
  openai::ApiError error = openai::make_error(403, "This account is suspended: " + account.reason,
                                              "", "account_suspended");
  error.type = "account_suspended";
  if (standing != nullptr && standing->subject.id == account.case_id) {
    add_case(error, *standing);
  } else if (!account.case_id.empty()) {
    error.more = {{"case_id", account.case_id}};
  }
  return never_again(std::move(error));
}

Refused throttled(const Standing& standing, const accounts::Refusal& refusal, int64_t now_ms) {
  openai::ApiError error = openai::make_error(
      429,
      fmt::format("This account is limited to {} requests a minute under clause {}: {}",
                  refusal.limit.most, standing.policy->clause.id, standing.subject.finding.words),
      "", "policy_throttled");
  error.type = "policy_throttled";
  add_case(error, standing);
  const int64_t wait_ms = std::max<int64_t>(1, refusal.resets_ms - now_ms);
  return {std::move(error),
          {{"Retry-After", std::to_string((wait_ms + 999) / 1000)},
           {"retry-after-ms", std::to_string(wait_ms)}}};
}

Refused unknown_case() {
  return {openai::make_error(404, "There is no such case of this account.", "", "case_not_found")};
}

Refused no_appeal(const std::string& hindrance) {
  return never_again(
      openai::make_error(409, "There can be no appeal: " + hindrance + ".", "", "appeal_refused"));
}

http::Headers case_headers(const Standing* standing) {
  if (standing == nullptr || !standing->subject.visible()) return {};
  return {{"retort-policy-case", standing->subject.id},
          {"retort-policy-step", policy::name(standing->subject.step)}};
}

Refused wrong_address(std::string_view address) {
  return never_again(openai::make_error(
      403, fmt::format("This key may not be used from {}.", address), "", "ip_not_authorized"));
}

Refused not_allowed(const char* what, std::string_view name) {
  return never_again(
      openai::make_error(403, fmt::format("This key may not ask the {} “{}”.", what, name), "",
                         fmt::format("{}_not_allowed", what)));
}

Refused no_price(const std::string& model) {
  return never_again(openai::make_error(
      503, fmt::format("“{}” has no price here, and a limit in money binds this account.", model),
      "", "price_unknown"));
}

// The reason is the operator's to read, not the customer's.
Refused unavailable(const Error& error) {
  base::log_error("provider: {}", error.text());
  return {openai::make_error(503, "The accounts cannot be read at the moment; nothing was charged.",
                             "", "accounts_unavailable"),
          {{"Retry-After", "1"}}};
}

openai::ApiError suspended_meanwhile() {
  openai::ApiError error = openai::make_error(
      403, "This account was suspended while the answer was under way; ask again to read why.", "",
      "account_suspended");
  error.type = "account_suspended";
  return error;
}

openai::ApiError place_lost() {
  return openai::make_error(
      503, "The accounts cannot be reached, so this answer may not go on; ask again.", "",
      "accounts_unavailable");
}

Refused over_limit(const accounts::Refusal& refusal, int64_t now_ms) {
  const auto& limit = refusal.limit;
  openai::ApiError error =
      openai::make_error(429, fmt::format("This request needs {} of a limit of {}; {} are left.",
                                          base::grouped(refusal.asked), words(limit),
                                          base::grouped(refusal.remaining)));
  error.type = error_type(limit.resource);
  error.code = "rate_limit_exceeded";
  if (refusal.asked > limit.most) return never_again(std::move(error));
  const int64_t wait_ms = limit.resource == accounts::Resource::parallel
                              ? 1000
                              : std::max<int64_t>(1, refusal.resets_ms - now_ms);
  if (wait_ms > kSoon_ms) error.code = error.type = "insufficient_quota";
  http::Headers headers = {{"Retry-After", std::to_string((wait_ms + 999) / 1000)},
                           {"retry-after-ms", std::to_string(wait_ms)}};
  if (wait_ms > kSoon_ms) headers.emplace_back("x-should-retry", "false");
  return {std::move(error), std::move(headers)};
}

http::Headers rate_headers(const std::vector<accounts::Standing>& standing, int64_t now_ms) {
  const accounts::Standing* requests = nullptr;
  const accounts::Standing* tokens = nullptr;
  for (const auto& one : standing) {
    const bool is_tokens = counts_tokens(one.resource);
    if (!is_tokens && one.resource != accounts::Resource::requests) continue;
    const auto*& tightest = is_tokens ? tokens : requests;
    if (tightest == nullptr || one.remaining < tightest->remaining) tightest = &one;
  }
  http::Headers headers;
  headers.reserve(8);  // and what a case adds
  add_three(headers, kRequestNames, requests, now_ms);
  add_three(headers, kTokenNames, tokens, now_ms);
  return headers;
}

std::string reset_text(int64_t duration_ms) {
  if (duration_ms < 1000) return fmt::format("{}ms", duration_ms);
  const int64_t seconds = (duration_ms + 999) / 1000;
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m{}s", seconds / 60, seconds % 60);
  return fmt::format("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

}  // namespace retort::provider
