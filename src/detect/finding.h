// What detection says of an account, with everything that it rests on. Plain data.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "detect/cluster.h"
#include "detect/feature.h"
#include "detect/model.h"
#include "json/value.h"

namespace retort::detect {

// Error bounds are the provider's to choose; `clause` is what a sanction would rest on.
struct Policy {
  std::string clause = "no-training";  // the id of a clause of the terms, for the customer
  std::string clause_text;             // in the provider's words
  double warn_alpha = 0.05;            // the chance of ever warning an honest account, at most
  double throttle_alpha = 0.01;        // ... throttling
  double suspend_alpha = 0.001;        // ... suspending
  double cluster_alpha = 0.001;        // of ever suspending by an honest cluster, a cluster
  double family_p = 0.05;              // what counts as evidence from one family
  int families = 2;                    // so many are needed for a suspension
  // A member of a cluster has made so many requests of its kind and is so unusual among honest
  // accounts of its purpose: by the first p-value if most of what asks the same has its options and
  // purpose, by the second there until it has made `young_requests`, by the third otherwise.
  uint32_t member_requests = 6;
  double member_p = 0.01, young_member_p = 0.1, stranger_p = 0.002;
  uint32_t young_requests = 48;
  // Or it is an heir: it declares the purpose and uses the options of most of a cluster, or of
  // accounts suspended in it, with so many requests, of a cluster by where they come from or by
  // what they ask,
  uint32_t heir_requests = 2, template_heir_requests = 3;
  double heir_part = 0.8;  // which are so much of all that it asks.
};

struct FamilyEvidence {
  Family family;
  double p_value = 1;  // against honest accounts of the same purpose
  bool counts = false;
};

struct ClusterEvidence {
  uint64_t id = 0;
  Bond bond = Bond::beginning;
  int64_t accounts = 0, requests = 0;  // estimates
  int64_t suspended = 0;               // of its accounts, with the same purpose and options
  bool heir = false;                   // the account is charged with it whatever its own score is
};

struct Evidence {
  std::string account, key, purpose;
  std::string compared_with;  // the class of the calibration
  int64_t honest_periods = 0;
  int64_t time_ms = 0;
  double e_value = 0;       // evidence so far, all periods
  double threshold = 0;     // that the step needed
  double p_value = 1;       // of this period's score
  double rest_p_value = 1;  // of what is left of it without the kind of evidence that weighs most
  std::vector<FamilyEvidence> families;
  std::vector<Weighed> measures;
  int64_t requests = 0, answer_tokens = 0;  // of the stream that it rests on
  std::vector<std::string> examples;        // ids of requests
  std::optional<ClusterEvidence> cluster;
  std::string clause, clause_text;
};

// Of an account that may train: something to know. There is no step in it to act upon.
struct Report {
  Evidence evidence;
};

// Of any other account: the step that the evidence carries. Who takes it, a person or the program,
// is the policy's to say.
struct Charge {
  Step step = Step::watch;
  Evidence evidence;
};

using Finding = std::variant<Report, Charge>;
const Evidence& evidence_of(const Finding& finding);

std::string_view name(Step step);
// The bundle of docs/reference/detection-evidence.md.
json::Value to_json(const Finding& finding);
// For the customer: what was seen, beside what is usual, in sentences.
std::string to_words(const Finding& finding);

}  // namespace retort::detect
