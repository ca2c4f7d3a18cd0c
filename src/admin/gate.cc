#include "admin/gate_internal.h"

#include <algorithm>

#include "base/log.h"

namespace retort::admin {
namespace {

openai::ApiError no_entry() {
  return openai::make_error(401,
                            "This opens with a key of the administration, sent as "
                            "Authorization: Bearer KEY.",
                            "", "invalid_api_key");
}

openai::ApiError refused(const std::string& why, const char* code) {
  return openai::make_error(403, why, "", code);
}

}  // namespace

bool may(const accounts::Key& key, std::string_view scope) {
  const auto& scopes = key.limits.scopes;
  return scopes.empty() || std::find(scopes.begin(), scopes.end(), scope) != scopes.end();
}

openai::Parsed<accounts::Principal> enter(Office& office, const http::ServerRequest& request,
                                          const char* scope) {
  const auto authorization = http::only_header(request.headers, "authorization");
  const auto secret = http::bearer_of(authorization.value_or(std::string_view()));
  if (!secret || accounts::parse_key(*secret) != accounts::KeyKind::admin) return no_entry();
  auto found = office.book->find(*secret);
  if (!found) return error_of(found.error());
  if (!*found || (*found)->key.kind != accounts::KeyKind::admin) {
    base::log_warning("admin: a key that opens nothing, from {}", request.address);
    return no_entry();
  }
  const auto& [account, key] = **found;
  if (!accounts::address_allowed(key.limits.addresses, request.address)) {
    return refused("This key may not be used from " + request.address + ".", "ip_not_authorized");
  }
  if (account.state != accounts::State::active) {
    return refused("The account of this key is suspended.", "account_suspended");
  }
  if (!may(key, scope)) {
    return refused(std::string("This key may not do this: it lacks the scope “") + scope + "”.",
                   "scope_missing");
  }
  return std::move(**found);
}

// The key is in no cookie, so a foreign page has nothing to ask with; that it asks at all is
// refused all the same. The listener has held Origin to the hosts it answers to already: here it is
// held to the very port.
std::optional<openai::ApiError> check_origin(const http::ServerRequest& request) {
  const auto* site = request.find("sec-fetch-site");
  if (site != nullptr && *site != "same-origin" && *site != "none") {
    return refused("Pages of another origin may not ask this server.", "foreign_origin");
  }
  const auto* origin = request.find("origin");
  const auto* host = request.find("host");
  if (origin == nullptr) return std::nullopt;
  if (host != nullptr && (*origin == "http://" + *host || *origin == "https://" + *host)) {
    return std::nullopt;
  }
  return refused("Pages of another origin may not ask this server.", "foreign_origin");
}

}  // namespace retort::admin
