// Who one is, and what goes on at the door.
#include "admin/gate_internal.h"
#include "provider/administration.h"

namespace retort::admin {

Answer answer_whoami(const Ask& ask) {
  json::Value scopes = json::Value::array();
  for (const char* scope : {kLook, kDecide, kAccounts}) {
    if (may(ask.who.key, scope)) scopes.push(scope);
  }
  return body_of(json::Value::object({{"key", ask.who.key.id},
                                      {"label", ask.who.key.label},
                                      {"account", ask.who.account.id},
                                      {"name", ask.who.account.name},
                                      {"actor", provider::actor_of(ask.who.key)},
                                      {"may", std::move(scopes)}}));
}

Answer answer_traffic(const Ask& ask) {
  const auto& traffic = ask.office.options.traffic;
  if (!traffic) return openai::make_error(404, "no door is served beside this", "", "not_found");
  return body_of(traffic());
}

}  // namespace retort::admin
