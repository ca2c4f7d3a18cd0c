#include "terms/evaluate.h"
#include "base/ascii.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/clock.h"
#include "terms/binding_internal.h"
#include "terms/shipped_internal.h"

namespace retort::terms {
namespace {

bool matches_any(const std::vector<std::string>& patterns, std::string_view text) {
  if (patterns.empty()) return true;
  return std::any_of(patterns.begin(), patterns.end(),
                     [text](const std::string& pattern) { return matches(pattern, text); });
}

// "http://127.0.0.1:80@evil.example/" begins like loopback and is not: such URLs match nothing.
bool has_user_part(std::string_view url) {
  const size_t host = url.find("://");
  if (host == std::string_view::npos) return false;
  const size_t end = url.find_first_of("/?#\\", host + 3);
  return url.substr(0, end).find('@') != std::string_view::npos;
}

// One question; collects what speaks against it.
class Evaluation {
 public:
  Evaluation(const Facts& facts, const TermsSet& terms, const Purpose& purpose, Action action,
             const std::vector<Declaration>& declarations)
      : facts_(facts),
        terms_(terms),
        purpose_(purpose),
        action_(action),
        declarations_(declarations) {}

  Verdict run() {
    check_purpose();
    check_preference();
    check_references();
    check_shipped_doors();
    std::set<std::pair<std::string, Object>> seen;
    for (const auto& reference : facts_.terms) {
      const Terms* named = terms_.find(reference.id);
      if (named == nullptr) {
        add({.terms_id = reference.id,
             .reason = fmt::format("the record names terms that are not known ({})",
                                   reference.id.substr(0, 16)),
             .need = "name the terms file of that id in the run file"});
      } else if (seen.emplace(named->series, reference.object).second) {
        check_series(*named, reference.object);
      }
    }
    return std::move(verdict_);
  }

 private:
  void add(Finding finding) {
    finding.action = action_;
    verdict_.decision = std::min(verdict_.decision, finding.decision);
    const auto& all = verdict_.findings;
    if (std::find(all.begin(), all.end(), finding) == all.end()) {
      verdict_.findings.push_back(std::move(finding));
    }
  }

  Finding about(const Terms& terms, Decision decision, std::string reason, std::string need = "") {
    return {.decision = decision,
            .terms_id = terms.id,
            .series = terms.series,
            .version = terms.version,
            .reason = std::move(reason),
            .need = std::move(need)};
  }

  Finding about_rule(const Terms& terms, const Rule& rule, Decision decision, std::string reason,
                     std::string need = "") {
    Finding finding = about(terms, decision, std::move(reason), std::move(need));
    finding.effect = rule.effect;
    finding.clause = rule.clause;
    if (!rule.text.empty()) {
      finding.clause += fmt::format("{}“{}”", rule.clause.empty() ? "" : " ", rule.text);
    }
    return finding;
  }

  void check_purpose() {
    if (!purpose_.allows(action_)) {
      add({.reason = fmt::format("the purpose does not name {}", name(action_)),
           .need = "add it to the actions in [purpose] if that is what the model is for"});
    }
    if (purpose_.model_id.empty()) {
      add({.reason = "the purpose names no model", .need = "set model_id in [purpose]"});
    }
  }

  // Keeping what was received is no use of its content; everything else respects the signal.
  void check_preference() {
    if (facts_.preference == Preference::no && action_ != Action::store) {
      add({.reason = "the answer came with a signal that it is not to be used for AI training"});
    }
  }

  void check_references() {
    const auto covers = [this](const Reference& r) { return r.object == facts_.object; };
    const char* need = facts_.object == Object::weights
                           ? "name the terms file that the weights came with"
                           : "name the terms file of the door it came through";
    if (facts_.terms.empty()) {
      add({.reason = "there are no terms", .need = need});
    } else if (std::none_of(facts_.terms.begin(), facts_.terms.end(), covers)) {
      add({.reason = fmt::format("no terms bind the {}", name(facts_.object)), .need = need});
    }
  }

  // A reading of a door that shipped readings cover takes their place by signature alone.
  void check_shipped_doors() {
    const auto named = [this](const auto& test) {
      return std::any_of(facts_.terms.begin(), facts_.terms.end(), [&](const Reference& one) {
        const Terms* terms = one.object == facts_.object ? terms_.find(one.id) : nullptr;
        return terms != nullptr && test(*terms);
      });
    };
    if (named([](const Terms& terms) { return terms.is_signed; })) return;
    for (const Pin* pin : shipped_for(facts_)) {
      if (named([pin](const Terms& terms) { return terms.series == pin->series; })) continue;
      add({.series = std::string(pin->series),
           .reason =
               fmt::format("the shipped terms/{} covers this door, and it is not named", pin->file),
           .need =
               fmt::format("name terms/{} as well; or have your own reading signed by a decider "
                           "(retort terms sign), and it takes that one's place",
                           pin->file)});
    }
  }

  void check_series(const Terms& named, Object object) {
    const Binding binding = binding_versions(named, terms_, facts_.captured_ms);
    for (const Terms* terms : binding.beside) check_terms(*terms, object);
    for (const Terms* terms : binding.in_force) check_terms(*terms, object);
    if (binding.in_force.size() > 1) explain_tie(named.series);
    if (binding.in_force.empty()) explain_gap(named);
  }

  void explain_gap(const Terms& named) {
    if (is_shipped_series(named.series) && !named.pinned && !named.is_signed) {
      add(about(
          named, Decision::deny,
          "it is a reading of your own of a series that is shipped, and no shipped version of "
          "that day stands beside it",
          "name the shipped version as well, and both bind; or have yours signed by a decider "
          "(retort terms sign)"));
      return;
    }
    const std::string day = base::iso_date(facts_.captured_ms);
    const bool early = named.effective_ms > facts_.captured_ms;
    add(about(named, Decision::deny,
              early ? fmt::format("they come into force on {}; this is of {}",
                                  named.effective.empty() ? named.observed : named.effective, day)
                    : fmt::format("they ended on {}; this is of {}", named.until, day),
              "add the version that was in force on that day"));
  }

  // Whoever corrected a file, and is refused by the earlier reading, has to be told why.
  void explain_tie(const std::string& series) {
    for (Finding& finding : verdict_.findings) {
      if (finding.series != series || finding.decision >= Decision::permit_with_duties) continue;
      finding.need += fmt::format(
          "{}this reading (id {}) is one of two of the same day, and both bind; a corrected one "
          "binds alone from a later effective date, or in a new run folder",
          finding.need.empty() ? "" : "; ", finding.terms_id.substr(0, 16));
      return;
    }
  }

  void check_terms(const Terms& terms, Object object) {
    check_reader(terms);
    check_applies(terms, object);
    check_rules(terms, object);
    for (const Duty& duty : terms.duties) {
      if (!purpose_.distributed || !duty.binds(object)) continue;
      verdict_.decision = std::min(verdict_.decision, Decision::permit_with_duties);
      verdict_.duties.push_back({terms.id, terms.label(), duty});
    }
  }

  void check_reader(const Terms& terms) {
    if (terms.reader.empty()) {
      add(about(terms, Decision::deny, "nobody is named as its reader",
                "somebody who has read the contract puts a name under [review] reader"));
    } else if (terms.reader == kMaintainers && !terms.pinned) {
      add(about(
          terms, Decision::deny,
          "its reader is said to be the program's maintainers, but they did not read this text",
          "put your own name under [review] reader, once you have read the contract"));
    }
    if (!terms.sig.empty() && !terms.is_signed) {
      add(about(terms, Decision::deny, "its signature is no decider's over this text",
                "have a decider sign it (retort terms sign), and name the key under deciders in "
                "[purpose]; or leave sig out"));
    }
    if (terms.capture == Capture::error_page) {
      add(about(terms, Decision::deny,
                "what was captured as its text is an error page, so nobody knows what it says",
                "have the text of that day found and read"));
    } else if (terms.capture == Capture::secondary) {
      add(about(terms, Decision::deny,
                "its reader saw only what others say of the text, which permits nothing",
                "have the provider's own text read, and sign that reading"));
    }
  }

  void check_applies(const Terms& terms, Object object) {
    const auto miss = [&](const char* field, const std::string& value) {
      add(about(terms, Decision::deny,
                fmt::format("they do not apply: “{}” is outside their {}",
                            value.empty() ? "unknown" : value, field),
                "name the terms that bind this door, or have them read again"));
    };
    const Applies& applies = terms.applies;
    if (!matches_any(applies.modality, facts_.modality)) miss("modality", facts_.modality);
    if (object == Object::texts) return;
    if (facts_.models.empty() && !applies.models.empty()) miss("models", "");
    for (const auto& model : facts_.models) {
      if (!matches_any(applies.models, model)) miss("models", model);
    }
    if (object == Object::weights) return;
    if (!matches_any(applies.endpoints, facts_.endpoint) || has_user_part(facts_.endpoint)) {
      miss("endpoints", facts_.endpoint);
    }
    if (!matches_any(applies.plans, facts_.plan)) miss("plans", facts_.plan);
    for (const auto& feature : facts_.features) {
      const auto& out = applies.features_excluded;
      if (std::find(out.begin(), out.end(), feature) != out.end()) miss("features", feature);
    }
  }

  void check_rules(const Terms& terms, Object object) {
    bool permitted = false;
    const Rule* research = nullptr;
    for (const auto& rule : terms.rules) {
      if (rule.action != action_) continue;
      if (rule.object != Object::any && rule.object != object) continue;
      if (rule.effect == Effect::prohibit) {
        check_prohibition(terms, rule);
      } else if (rule.scope == Scope::research) {
        if (!purpose_.commercial) research = &rule;
      } else if (rule.scope != Scope::commercial || purpose_.commercial) {
        permitted = true;
      }
    }
    if (!permitted && research != nullptr) {
      ask(terms,
          about_rule(terms, *research, Decision::needs_declaration, "it permits research alone",
                     "a decider has to declare that this is research: retort terms declare"));
      permitted = true;
    }
    if (!permitted) {
      add(about(terms, Decision::deny,
                fmt::format("no clause permits {} of {}", name(action_), name(object)),
                "have the contract read for that use, or leave the use out"));
    } else if (terms.basis == Basis::silent && !terms.silence_permits) {
      add(about(terms, Decision::deny,
                "the text is silent, and its reader does not take silence for permission",
                "the reader can say so with silence = \"permit\" under [review]"));
    }
  }

  // What terms leave to a person, answered by a declaration or refused for want of one.
  void ask(const Terms& terms, Finding question) {
    question.action = action_;
    const auto answer = answer_for(terms, purpose_.model_id, terms_, declarations_);
    if (answer.by != nullptr) {
      Reliance reliance{answer.by->id, answer.by->declarant, std::move(question)};
      const auto& all = verdict_.declared;
      if (std::find(all.begin(), all.end(), reliance) == all.end()) {
        verdict_.declared.push_back(std::move(reliance));
      }
      return;
    }
    if (!answer.why_not.empty()) question.reason += "; " + answer.why_not;
    add(std::move(question));
  }

  void check_prohibition(const Terms& terms, const Rule& rule) {
    const auto prohibit = [&](Decision decision, std::string reason, std::string need) {
      add(about_rule(terms, rule, decision, std::move(reason), std::move(need)));
    };
    const std::string declare = "a decider has to declare it, signed: retort terms declare";
    const auto leave_to_a_person = [&](std::string reason) {
      ask(terms, about_rule(terms, rule, Decision::needs_declaration, std::move(reason), declare));
    };
    switch (rule.scope) {
      case Scope::competing:
        if (purpose_.competing.value_or(false)) {
          prohibit(Decision::deny, "it forbids competing use, and the purpose says it competes",
                   "");
        } else {
          leave_to_a_person(
              "it forbids competing use, and whether this competes is not for a program to say");
        }
        return;
      case Scope::commercial:
        if (!purpose_.commercial) return;
        prohibit(Decision::deny, "it forbids commercial use, and the purpose is commercial", "");
        return;
      case Scope::research:
        if (purpose_.commercial) return;
        prohibit(Decision::deny, "it forbids use in research", "");
        return;
      case Scope::distributed:
        if (!purpose_.distributed && !purpose_.commercial) return;
        [[fallthrough]];
      case Scope::any:
        if (rule.unless.empty()) {
          prohibit(Decision::deny, "it forbids this use", "");
        } else {
          leave_to_a_person(fmt::format("it forbids this use but for: {}", rule.unless));
        }
        return;
    }
  }

  const Facts& facts_;
  const TermsSet& terms_;
  const Purpose& purpose_;
  Action action_;
  const std::vector<Declaration>& declarations_;
  Verdict verdict_;
};

}  // namespace

bool matches(std::string_view pattern, std::string_view text) {
  // Greedy with one point of return: linear in practice, at worst |pattern| * |text|.
  size_t p = 0;
  size_t t = 0;
  size_t star = std::string_view::npos;
  size_t resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && base::lower(pattern[p]) == base::lower(text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool Purpose::allows(Action action) const {
  return std::find(actions.begin(), actions.end(), action) != actions.end();
}

Verdict denied_for(std::vector<Finding> findings) {
  Verdict out;
  if (!findings.empty()) out.decision = Decision::deny;
  out.findings = std::move(findings);
  return out;
}

Verdict evaluate(const Facts& facts, const TermsSet& terms, const Purpose& purpose, Action action,
                 const std::vector<Declaration>& declarations) {
  return meet(Evaluation(facts, terms, purpose, action, declarations).run(), {});
}

}  // namespace retort::terms
