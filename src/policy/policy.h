// What a provider has decided beforehand about gathering its answers to train a rival: which clause
// forbids it, how strong the evidence must be for each step, what each step does, who decides, and
// how long a customer has to appeal. A TOML file, one a version; its id is the SHA-256 of its
// RFC 8785 form, and every case names the version that it was judged by.
//
// Plain data; reading errors are bad_input and name the field.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace retort::policy {

// Each is reached from the one before: a customer is warned before anything slows down, and slowed
// down before anything stops.
enum class Step { watch, warn, throttle, suspend };
const char* name(Step step);
std::optional<Step> parse_step(std::string_view text);

// How often the provider is willing to be wrong: the chance that an honest account is ever warned,
// throttled, suspended, however long it is watched. Detection (detect/calibration.h) holds them.
struct ErrorBounds {
  double warn = 0.05, throttle = 0.01, suspend = 0.001;
  double cluster = 0.001;  // of suspending the accounts of an honest cluster
  double family_p = 0.05;  // below it a kind of evidence counts as one
  int64_t families = 2;    // independent kinds that a suspension rests on
};

struct Steps {
  // A step lasts at least this long and this many answered requests, so that whoever was warned can
  // change what they do.
  int64_t warn_minutes = 60, warn_requests = 20;
  int64_t throttle_minutes = 60, throttle_requests = 20;
  int64_t requests_per_minute = 6;  // of a throttled account
  bool automatic = false;  // suspends by itself; otherwise it proposes and a person decides
};

struct Appeals {
  int64_t days = 30;          // to appeal, from the step on
  int64_t decision_days = 7;  // for the provider to answer; then the step is lifted by itself
  std::string contact;        // for people
};

// Which terms bind accounts of a licence: "forbidden", "non-competing", "allowed".
struct Plan {
  std::string terms_url;
  std::string content_usage;  // their short form (IETF AIPREF), sent with each answer
};

struct Clause {
  std::string id;    // "2.2(e)"; the code of errors
  std::string text;  // what it says, in the provider's words
  std::string url;
};

struct Policy {
  std::string id;    // SHA-256 of the canonical JSON, hex
  std::string text;  // the file as it was read
  std::string series, version;
  int64_t announced_ms = 0, effective_ms = 0;  // it binds from then on
  Clause clause;
  ErrorBounds bounds;
  Steps steps;
  Appeals appeals;
  int64_t sketch_days = 90;  // for which sketches of served answers are kept
  std::map<std::string, Plan> plans;
};

// `where` names the file in errors.
Result<Policy> parse_policy(std::string_view toml, std::string_view where);
Result<Policy> load_policy(const std::string& path);

// Of versions of one series, the one that binds at a time: the latest that is in effect. Null
// before the first.
const Policy* binding(const std::vector<Policy>& versions, int64_t at_ms);

}  // namespace retort::policy
