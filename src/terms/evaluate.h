// May this record be used for that? A pure function of the record's facts, the terms and the
// declared purpose. Deny by default: no terms, unknown terms, terms that do not apply, terms
// without a reader or an explicit permission all refuse. What terms leave to a person is answered
// by declarations alone (declaration.h), which the caller has checked. Safe from any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "terms/action.h"
#include "terms/declaration.h"
#include "terms/terms.h"

namespace retort::terms {

// From worst to best; combining takes the worst.
enum class Decision { deny, needs_declaration, permit_with_duties, permit };
const char* name(Decision decision);

// What a website's or a door's own signal said (Content-Usage, tdm-reservation, RSL): "no" denies,
// "yes" never raises a verdict.
enum class Preference : uint8_t { absent = 0, yes = 1, no = 2 };

// What the use is for. There is no default purpose: an action that is not listed is refused.
struct Purpose {
  std::vector<Action> actions{};
  std::string model_id{};
  bool distributed = false;
  bool commercial = false;
  std::optional<bool> competing{};  // nothing: nobody said so
  bool allows(Action action) const;
};

// One terms file that binds one part of the record.
struct Reference {
  std::string id;
  Object object = Object::outputs;
  bool operator==(const Reference&) const = default;
};

struct Facts {
  std::vector<Reference> terms{};
  Object object = Object::outputs;  // what is used; a reference of this object must be among terms
  std::string endpoint{}, plan{};   // of the door; empty for files and own texts
  std::vector<std::string> models{};  // as asked and as answered
  std::string modality = "text";
  std::vector<std::string> features{};
  int64_t captured_ms = 0;
  Preference preference = Preference::absent;
};

// Why a verdict is not "permit": by which clause of which terms.
struct Finding {
  Decision decision = Decision::deny;
  std::string terms_id{}, series{}, version{};  // empty: no single file is the reason
  std::optional<Effect> effect{};
  Action action = Action::store;
  std::string clause{};  // place and words of the clause
  std::string reason{};  // a sentence without a full stop
  std::string need{};    // what a person could do about it
  bool operator==(const Finding&) const = default;
  // "xai.enterprise 2026-08-14: prohibit train.generative (2.2(e) “…”): reason".
  std::string sentence() const;
};

struct OwedDuty {
  std::string terms_id, label;
  Duty duty;
  bool operator==(const OwedDuty&) const = default;
};

// A rule that would have asked for a declaration, and the one that answers it.
struct Reliance {
  std::string declaration_id, declarant;
  Finding question;  // as it would have been found
  bool operator==(const Reliance&) const = default;
};

struct Verdict {
  Decision decision = Decision::permit;
  std::vector<Finding> findings;
  std::vector<OwedDuty> duties;
  std::vector<Reliance> declared{};
  bool permits() const { return decision >= Decision::permit_with_duties; }
};

Verdict evaluate(const Facts& facts, const TermsSet& terms, const Purpose& purpose, Action action,
                 const std::vector<Declaration>& declarations = {});

// Denies for each of these reasons; with none it permits.
Verdict denied_for(std::vector<Finding> findings);

// The worse of both; findings, duties and reliances united, contradictory duties (two name
// prefixes) deny. As sets of those, commutative, associative and idempotent.
Verdict meet(Verdict a, const Verdict& b);

// * stands for any run of characters; letters compare without case.
bool matches(std::string_view pattern, std::string_view text);

}  // namespace retort::terms
