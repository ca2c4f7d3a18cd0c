// What the terms ask of a student that is distributed, and whether it is done. Only what a program
// can see is judged: names, texts and files; a duty it cannot see (a limit on users) is printed on
// the model card for the people who must keep it.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "terms/evaluate.h"

namespace retort::release {

enum class DutyKind {
  name_prefix,   // the model's name begins with `value`
  display,       // `value` is shown with the model
  licence_copy,  // the licence `value` goes along as a file
  notice,        // the text `value` goes along in NOTICE
  use_policy,    // the policy `value` is passed on
  user_limit,    // at most `value` users a month
};

struct Duty {
  DutyKind kind = DutyKind::notice;
  std::string value;
  std::string terms;  // series and version of the terms that ask for it
  std::string terms_id{};
};

const char* name(DutyKind kind);

// One duty for each thing that is owed, in order.
std::vector<Duty> duties_of(const std::vector<terms::OwedDuty>& owed);

// How each duty is met: files beside the weights, and lines that the model card shows.
struct DutyPlan {
  std::vector<std::pair<std::string, std::string>> files;  // name, content
  std::vector<std::string> card_lines;
  std::vector<std::string> met;  // a sentence a duty, for the summary
};

// Refuses (refused_by_gate) with the duty's name where one cannot be met: the model's name does not
// begin as asked, two name prefixes contradict each other, a licence's text is not among
// `licence_texts` (by the name that the terms use).
Result<DutyPlan> plan_duties(const std::vector<Duty>& duties, const std::string& model_id,
                             const std::map<std::string, std::string>& licence_texts);

// Looks into the written folder: every file of the plan and every line on the card is there.
Result<void> check_duties(const DutyPlan& plan, const std::string& folder);

}  // namespace retort::release
