#include "admin/gate_internal.h"

#include <algorithm>

#include "base/log.h"

namespace retort::admin {
namespace {

bool is_same_word(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return std::tolower(static_cast<unsigned char>(x)) ==
                  std::tolower(static_cast<unsigned char>(y));
         });
}

// The one value of a header; nothing where there are none or several.
std::optional<std::string_view> only(const http::ServerRequest& request, std::string_view wanted) {
  std::optional<std::string_view> found;
  for (const auto& [name, value] : request.headers) {
    if (!is_same_word(name, wanted)) continue;
    if (found) return std::nullopt;
    found = value;
  }
  return found;
}

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
  constexpr std::string_view kScheme = "bearer ";
  const auto offered = only(request, "authorization");
  if (!offered || !is_same_word(offered->substr(0, kScheme.size()), kScheme)) return no_entry();
  const std::string_view secret = offered->substr(kScheme.size());
  if (accounts::parse_key(secret) != accounts::KeyKind::admin) return no_entry();
  auto found = office.book->find(secret);
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
