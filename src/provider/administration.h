// What the administration does with accounts and cases and how it is shown: at the terminal (retort
// account, retort case) and on its own listener (admin/) by the same functions. The accounts and
// cases are the caller's, and so are the thread rules.
#pragma once
#include <string>
#include <vector>

#include "accounts/book.h"
#include "accounts/cases.h"
#include "accounts/quota.h"
#include "base/result.h"
#include "json/value.h"

namespace retort::provider {

json::Value account_json(const accounts::Account& account);
json::Value key_json(const accounts::Key& key);  // never the key itself: only its hash is kept
json::Value change_json(const accounts::Change& change);
json::Value limit_json(const accounts::Limit& limit);
json::Value event_json(const accounts::CaseEvent& event);

// Of all limits, those that an account meets: its own, of its keys, of its organisation, of all.
std::vector<accounts::Limit> limits_of(const std::vector<accounts::Limit>& all,
                                       const accounts::Account& account,
                                       const std::vector<accounts::Key>& keys);

// "throttle, appealed", and "proposed" where a suspension waits for a person.
std::string standing_words(const policy::Case& subject);

struct Decided {
  std::string case_id;
  std::string decision;  // confirm, uphold, lift, close; usage for another word
  std::string reason;    // the customer reads it
};
// A person's decision on a case, which is in the case's history with its actor; the account's
// history says besides how the case stood before and after. usage: the case asks for no such thing.
struct Deciders {
  accounts::Book& book;
  accounts::Cases& cases;
};
Result<policy::Case> decide(const Deciders& books, const Decided& decided, const std::string& actor,
                            int64_t now_ms);

// Who acts with a key of the administration, for histories: "ann (key_...)".
std::string actor_of(const accounts::Key& key);

}  // namespace retort::provider
