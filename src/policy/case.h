// A case against an account, and how it moves. Pure: the store and the clock are the caller's.
//
//   watch -> warn -> throttle -> suspend     by evidence, one step at a time, each lasting its time
//   any of them -> closed                    the provider was wrong, or it is over
//   an appeal pauses all steps; decided for the customer, or not decided in time, it lifts the step
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "policy/policy.h"

namespace retort::policy {

enum class Status { open, appealed, lifted, closed };  // the last two are over
const char* name(Status status);
std::optional<Status> parse_status(std::string_view text);

// What was found about an account so far.
struct Finding {
  Step carries = Step::watch;  // the gravest step that the evidence is strong enough for
  std::string words;           // for the customer
  std::string evidence{};      // JSON, for programs; "" for none
  bool of_others = false;      // rests on what other accounts did: a person decides on a suspension
};

struct Appeal {
  std::string text;  // of the customer
  int64_t at_ms = 0;
  int64_t decide_by_ms = 0;
};

struct Case {
  std::string id;  // "case_" and 24 random digits
  std::string account;
  std::string policy;  // id of the version that it is judged by
  std::string clause;  // its id
  Step step = Step::watch;
  Status status = Status::open;
  bool proposed = false;  // a suspension waits for a person
  int64_t opened_ms = 0;
  int64_t step_ms = 0;        // when the step began
  int64_t step_requests = 0;  // answered since then
  int64_t appeal_by_ms = 0;   // the last moment for an appeal; 0 while there is nothing to appeal
  Finding finding;
  Appeal appeal;       // the last one; at_ms 0: none
  std::string reason;  // of how it ended or of a person's decision; the customer reads it

  bool over() const { return status == Status::lifted || status == Status::closed; }
  // Whether the customer is told of it: watching changes nothing for them.
  bool visible() const { return step != Step::watch || over(); }
};

// What becomes of a case.
enum class Move {
  none,
  advance,  // to the next step
  propose,  // the next step is a suspension, which a person decides
  lift,     // the appeal was not decided in time
};

// By the latest finding and the time. An account that is licensed to train never gets here.
Move next_move(const Policy& policy, const Case& subject, int64_t now_ms);

// The moves themselves, on the plain value.
void advance(const Policy& policy, Case& subject, int64_t now_ms);
void lift(Case& subject, std::string reason, int64_t now_ms);

// Why the customer cannot appeal now, in words for them; nothing where they can.
std::optional<std::string> appeal_hindrance(const Case& subject, int64_t now_ms);
void take_appeal(const Policy& policy, Case& subject, std::string text, int64_t now_ms);

// What a person decides.
enum class Decision { confirm, uphold, lift, close };
std::optional<Decision> parse_decision(std::string_view text);
// confirm: a proposed suspension; uphold: an appeal is turned down and the step stands; lift: the
// appeal is right, or the step was wrong; close: the case is over, the step with it. Errors: usage,
// for a decision that the case does not ask for.
Result<void> decide(const Policy& policy, Case& subject, Decision decision, std::string reason,
                    int64_t now_ms);

}  // namespace retort::policy
