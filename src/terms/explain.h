// What binds a record, and what would change the verdict. Nothing here is known beforehand: each
// "it would be" is an evaluation of the same record with one thing changed, and what does not
// change the verdict is not told. Pure; safe from any thread.
#pragma once
#include <string>
#include <vector>

#include "terms/evaluate.h"

namespace retort::terms {

struct Question {
  const Facts& facts;
  const TermsSet& terms;
  const Purpose& purpose;
  Action action;
  const std::vector<Declaration>& declarations;
};

// One thing that is otherwise, and the verdict then.
struct Alternative {
  std::string change;  // "had it been captured from 2026-08-14 on"
  Decision decision = Decision::deny;
  bool operator==(const Alternative&) const = default;
};
// Days (as far as the known versions reach), distribution, commerce, competition, the declared
// actions, signals, features, plans, a declaration, each series of terms left out.
std::vector<Alternative> alternatives(const Question& question);

// The terms files that bind, in plain words with their clauses on the actions.
std::string explain_binding(const Facts& facts, const TermsSet& terms,
                            const std::vector<Action>& actions);
// The verdict with its reasons, duties and declarations, and the alternatives.
std::string explain_verdict(const Question& question);

}  // namespace retort::terms
