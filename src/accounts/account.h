// Who may ask, and with what. Plain data.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "accounts/key.h"

namespace retort::accounts {

// Whether an account's answers may train a model, as agreed with it. "allowed": any; a finding
// about such an account is a report, never a sanction. "non-competing": under a signed declaration.
enum class Training { forbidden, non_competing, allowed };
const char* name(Training training);
std::optional<Training> parse_training(std::string_view text);

enum class State { active, suspended, closed };
const char* name(State state);

struct Account {
  std::string id;            // "acct_…"
  std::string name;          // of a person or a firm, as they gave it
  std::string organisation;  // shares limits with others of the same; "" for none
  std::string payer;         // a fingerprint of what pays for it, as billing gives it; "" unknown
  std::string purpose;       // what they said they use the answers for; a class of honest traffic
  Training training = Training::forbidden;
  std::string declaration;  // where training rests on one: its entry in the log
  State state = State::active;
  std::string reason;   // of the state, as the customer may read it
  std::string case_id;  // of a suspension that came from a case; else ""
  int64_t created_ms = 0;
};

// What a key may do. Empty lists allow everything of their kind.
struct KeyLimits {
  std::vector<std::string> scopes{};     // "chat", "completions", "models", "cases" ...
  std::vector<std::string> models{};     // patterns, * stands for any run of characters
  std::vector<std::string> addresses{};  // IPv4 or IPv6, with /bits for a block
  int64_t expires_ms = 0;                // 0: never
  bool operator==(const KeyLimits&) const = default;
};

struct Key {
  std::string id;  // "key_…"; this, never the key itself, stands in logs
  std::string account;
  KeyKind kind = KeyKind::api;
  std::string label;
  KeyLimits limits;
  int64_t created_ms = 0;
  int64_t ends_ms = 0;      // revoked or rotated out from then on; 0: not
  std::string replaced_by;  // the key that a rotation made
};

// Whether the key is neither expired nor ended.
bool opens(const Key& key, int64_t now_ms);

// One change, for the history of an account.
struct Change {
  int64_t time_ms = 0;
  std::string actor;    // who did it: a person's name, an admin key's id
  std::string subject;  // the id of an account or a key
  std::string what;     // "created", "suspended" ...
  std::string before, after;
};

// Whether `address` ("203.0.113.7", "2001:db8::1") lies in one of `blocks`; an empty list holds
// all.
bool address_allowed(const std::vector<std::string>& blocks, std::string_view address);

}  // namespace retort::accounts
