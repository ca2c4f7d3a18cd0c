#include "provider/administration.h"

#include <fmt/core.h>

#include "base/log.h"

namespace retort::provider {
namespace {

json::Value texts(const std::vector<std::string>& items) {
  json::Value out = json::Value::array();
  for (const auto& item : items) out.push(item);
  return out;
}

}  // namespace

json::Value account_json(const accounts::Account& account) {
  return json::Value::object({{"id", account.id},
                              {"name", account.name},
                              {"organisation", account.organisation},
                              {"payer", account.payer},
                              {"purpose", account.purpose},
                              {"training", accounts::name(account.training)},
                              {"state", accounts::name(account.state)},
                              {"reason", account.reason},
                              {"case", account.case_id},
                              {"created_ms", account.created_ms}});
}

json::Value key_json(const accounts::Key& key) {
  return json::Value::object({{"id", key.id},
                              {"kind", accounts::name(key.kind)},
                              {"label", key.label},
                              {"scopes", texts(key.limits.scopes)},
                              {"models", texts(key.limits.models)},
                              {"addresses", texts(key.limits.addresses)},
                              {"expires_ms", key.limits.expires_ms},
                              {"created_ms", key.created_ms},
                              {"ends_ms", key.ends_ms},
                              {"replaced_by", key.replaced_by}});
}

json::Value change_json(const accounts::Change& change) {
  return json::Value::object({{"time_ms", change.time_ms},
                              {"actor", change.actor},
                              {"subject", change.subject},
                              {"what", change.what},
                              {"before", change.before},
                              {"after", change.after}});
}

json::Value limit_json(const accounts::Limit& limit) {
  return json::Value::object({{"subject", limit.subject},
                              {"resource", accounts::name(limit.resource)},
                              {"window", accounts::name(limit.window)},
                              {"most", limit.most}});
}

json::Value event_json(const accounts::CaseEvent& event) {
  return json::Value::object({{"time_ms", event.time_ms},
                              {"actor", event.actor},
                              {"what", event.what},
                              {"step", policy::name(event.step)},
                              {"status", policy::name(event.status)},
                              {"reason", event.reason}});
}

std::vector<accounts::Limit> limits_of(const std::vector<accounts::Limit>& all,
                                       const accounts::Account& account,
                                       const std::vector<accounts::Key>& keys) {
  std::vector<accounts::Limit> out;
  for (const auto& limit : all) {
    bool binds = limit.subject == "all" || limit.subject == "account:" + account.id ||
                 limit.subject == "organisation:" + account.organisation;
    for (const auto& key : keys) binds = binds || limit.subject == "key:" + key.id;
    if (binds) out.push_back(limit);
  }
  return out;
}

std::string standing_words(const policy::Case& subject) {
  return fmt::format("{}, {}{}", policy::name(subject.step), policy::name(subject.status),
                     subject.proposed ? ", suspension proposed" : "");
}

Result<policy::Case> decide(const Deciders& books, const Decided& decided, const std::string& actor,
                            int64_t now_ms) {
  const auto decision = policy::parse_decision(decided.decision);
  if (!decision) {
    return base::usage_error(
        fmt::format("“{}” is no decision", decided.decision), "--decision",
        "confirm (a proposed suspension), uphold (turns an appeal down), lift (the customer is "
        "right) or close");
  }
  const std::string what = "decided: " + decided.decision;
  std::string before;
  RETORT_TRY(auto after,
             books.cases.change(decided.case_id, what, actor,
                                [&](const policy::Policy& policy, policy::Case& subject) {
                                  before = standing_words(subject);
                                  return policy::decide(policy, subject, *decision, decided.reason,
                                                        now_ms);
                                }));
  // The decision stands whether or not this line does.
  const auto noted = books.book.note(after.account, {.actor = actor,
                                                     .subject = after.id,
                                                     .what = what,
                                                     .before = before,
                                                     .after = standing_words(after)});
  if (!noted)
    base::log_error("the decision on {} is not noted: {}", after.id, noted.error().text());
  return after;
}

std::string actor_of(const accounts::Key& key) {
  return key.label.empty() ? key.id : fmt::format("{} ({})", key.label, key.id);
}

}  // namespace retort::provider
