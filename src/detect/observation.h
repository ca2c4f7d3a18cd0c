// What detection is shown of one answered request, and of whom it came from. Views: they need live
// only for the call. Nothing of a text is kept (state.h): salted hashes and counts are.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace retort::detect {

// Whether the account's answers may train a model, as agreed with it. "allowed" and
// "non_competing" (under a declaration) are licences: findings about them are reports.
enum class Licence : uint8_t { none, non_competing, allowed };

struct Subject {
  std::string_view account;    // its id
  std::string_view key{};      // the id of the key used, for the evidence
  std::string_view purpose{};  // what the account declared; a class of honest traffic, "" for none
  Licence licence = Licence::none;
};

enum class Speaker : uint8_t { system, user, assistant, tool };

struct Turn {
  Speaker speaker = Speaker::user;
  std::string_view text;
};

// As the request had them.
struct Sampling {
  int answers = 1;  // n
  bool logprobs = false;
  double temperature = 1.0;
  int64_t max_tokens = 0;  // 0: not given
  bool tools = false;      // tools were offered
};

struct Observation {
  Subject subject;
  std::string_view request;  // its id, quoted in the evidence
  int64_t time_ms = 0;       // wall time when it was asked; never runs backwards for an account
  std::span<const Turn> turns{};
  Sampling sampling{};
  std::string_view answer{};  // the first answer's text; "" where it is not at hand
  int64_t input_tokens = 0, output_tokens = 0;
  // Where from and who pays, as hashes the caller makes (a /24 or /48, a payment instrument's
  // fingerprint); 0 for unknown.
  uint64_t address_cell = 0, payment_cell = 0;
};

}  // namespace retort::detect
