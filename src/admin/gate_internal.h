// Who asks: a key of the administration, or nobody.
#pragma once
#include "admin/office_internal.h"

namespace retort::admin {

// What a key may do here where it names any scopes; without them it may do all of it.
inline constexpr const char* kLook = "look";
inline constexpr const char* kDecide = "decide";      // cases
inline constexpr const char* kAccounts = "accounts";  // suspend, reinstate

// With the office's mutex held. 401 for no key or one that opens nothing here, whatever the reason;
// 403 for a suspended account, a foreign address, a scope that the key does not have.
openai::Parsed<accounts::Principal> enter(Office& office, const http::ServerRequest& request,
                                          const char* scope);
bool may(const accounts::Key& key, std::string_view scope);

// Nothing, or why a page of another origin may not ask.
std::optional<openai::ApiError> check_origin(const http::ServerRequest& request);

}  // namespace retort::admin
