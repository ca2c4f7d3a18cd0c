#include "terms/explain.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/clock.h"
#include "terms/binding_internal.h"

namespace retort::terms {
namespace {

class Alternatives {
 public:
  explicit Alternatives(const Question& question)
      : question_(question), now_(decide(question.facts, question.purpose)) {}

  std::vector<Alternative> find() {
    try_days();
    try_purposes();
    try_facts();
    try_declaration();
    try_without_each();
    return std::move(out_);
  }

 private:
  Decision decide(const Facts& facts, const Purpose& purpose) const {
    return evaluate(facts, question_.terms, purpose, question_.action, question_.declarations)
        .decision;
  }
  void add(std::string change, Decision decision) {
    if (decision != now_) out_.push_back({std::move(change), decision});
  }

  // The moments at which some version of a series that the record names begins or ends.
  std::set<int64_t> moments() const {
    std::set<int64_t> out;
    for (const auto& reference : question_.facts.terms) {
      const Terms* named = question_.terms.find(reference.id);
      if (named == nullptr) continue;
      for (const Terms* version : question_.terms.versions(named->series)) {
        out.insert(version->effective_ms);
        if (!version->until.empty()) out.insert(version->until_ms);
      }
    }
    return out;
  }

  struct Span {
    int64_t from = 0, to = 0;  // to 0: open
    Decision decision = Decision::deny;
  };

  // Between two such moments the verdict is one; neighbours that agree are told as one.
  void try_days() {
    std::vector<Span> spans;
    const auto when = moments();
    for (auto at = when.begin(); at != when.end(); ++at) {
      Facts facts = question_.facts;
      facts.captured_ms = *at;
      const Decision decision = decide(facts, question_.purpose);
      if (!spans.empty() && spans.back().decision == decision) continue;
      if (!spans.empty()) spans.back().to = *at;
      spans.push_back({*at, 0, decision});
    }
    for (const Span& span : spans) {
      const std::string from = base::iso_date(span.from);
      if (span.to == 0) {
        add(fmt::format("had it been captured from {} on", from), span.decision);
      } else {
        add(fmt::format("had it been captured from {} to {}", from,
                        base::iso_date(span.to - base::kDay_ms)),
            span.decision);
      }
    }
  }

  void try_purpose(const char* change, auto alter) {
    Purpose purpose = question_.purpose;
    alter(purpose);
    add(change, decide(question_.facts, purpose));
  }

  void try_purposes() {
    const Purpose& purpose = question_.purpose;
    if (!purpose.allows(question_.action)) {
      try_purpose("if the purpose named this action",
                  [this](Purpose& p) { p.actions.push_back(question_.action); });
    }
    try_purpose(
        purpose.distributed ? "if the model stayed in the house" : "if the model were distributed",
        [](Purpose& p) { p.distributed = !p.distributed; });
    try_purpose(purpose.commercial ? "if the purpose were not commercial"
                                   : "if the purpose were commercial",
                [](Purpose& p) { p.commercial = !p.commercial; });
    if (purpose.competing.value_or(false)) {
      try_purpose("if the purpose did not say that it competes",
                  [](Purpose& p) { p.competing.reset(); });
    } else {
      try_purpose("if the purpose said that it competes", [](Purpose& p) { p.competing = true; });
    }
  }

  void try_fact(std::string change, auto alter) {
    Facts facts = question_.facts;
    alter(facts);
    add(std::move(change), decide(facts, question_.purpose));
  }

  void try_facts() {
    const Facts& facts = question_.facts;
    if (facts.preference == Preference::no) {
      try_fact("had it come without the signal that says no",
               [](Facts& f) { f.preference = Preference::absent; });
    } else {
      try_fact("had it come with a signal that says no",
               [](Facts& f) { f.preference = Preference::no; });
    }
    for (const auto& feature : facts.features) {
      try_fact(fmt::format("had it been asked without {}", feature),
               [&feature](Facts& f) { std::erase(f.features, feature); });
    }
    std::set<std::string> plans;
    for (const auto& reference : facts.terms) {
      const Terms* named = question_.terms.find(reference.id);
      if (named == nullptr) continue;
      for (const auto& plan : named->applies.plans) {
        if (plan != facts.plan && plan.find('*') == std::string::npos) plans.insert(plan);
      }
    }
    for (const auto& plan : plans) {
      try_fact(fmt::format("had it come on the plan “{}”", plan),
               [&plan](Facts& f) { f.plan = plan; });
    }
  }

  // A declaration of all that is left to a person, as a decider could make one.
  void try_declaration() {
    const Verdict verdict = evaluate(question_.facts, question_.terms, question_.purpose,
                                     question_.action, question_.declarations);
    Declaration declaration;
    declaration.id = "supposed";
    declaration.model_id = question_.purpose.model_id;
    declaration.max_records = 1;
    for (const auto& finding : verdict.findings) {
      if (finding.decision == Decision::needs_declaration) {
        declaration.terms.push_back(finding.terms_id);
      }
    }
    if (declaration.terms.empty()) return;
    std::sort(declaration.terms.begin(), declaration.terms.end());
    auto declarations = question_.declarations;
    declarations.push_back(std::move(declaration));
    add("if a decider declared, signed, what the terms leave to a person",
        evaluate(question_.facts, question_.terms, question_.purpose, question_.action,
                 declarations)
            .decision);
  }

  void try_without_each() {
    std::set<std::string> series;
    for (const auto& reference : question_.facts.terms) {
      const Terms* named = question_.terms.find(reference.id);
      if (named != nullptr) series.insert(named->series);
    }
    if (series.size() < 2) return;
    for (const auto& one : series) {
      try_fact(fmt::format("without {}", one), [this, &one](Facts& f) {
        std::erase_if(f.terms, [&](const Reference& reference) {
          const Terms* named = question_.terms.find(reference.id);
          return named != nullptr && named->series == one;
        });
      });
    }
  }

  const Question& question_;
  Decision now_;
  std::vector<Alternative> out_;
};

std::string clause_line(const Rule& rule) {
  std::string out = fmt::format("    {} {}", name(rule.effect), name(rule.action));
  if (rule.scope != Scope::any) out += fmt::format(", where {}", name(rule.scope));
  if (!rule.unless.empty()) out += fmt::format(", unless {}", rule.unless);
  if (!rule.clause.empty()) out += fmt::format(" [{}]", rule.clause);
  return rule.text.empty() ? out + "\n" : fmt::format("{}: {}\n", out, rule.text);
}

std::string file_lines(const Terms& terms, Object object, const std::vector<Action>& actions) {
  std::string out = fmt::format("  {} by {}, of the {}, since {}{}\n", terms.label(),
                                terms.assigner, name(object), base::iso_date(terms.effective_ms),
                                terms.until.empty() ? "" : ", until " + terms.until);
  out += fmt::format("    read by {}{}; {}\n", terms.reader.empty() ? "nobody" : terms.reader,
                     terms.reviewed_on.empty() ? "" : " on " + terms.reviewed_on,
                     terms.url.empty() ? "no address" : terms.url);
  for (const Rule& rule : terms.rules) {
    if (rule.object != Object::any && rule.object != object) continue;
    if (std::find(actions.begin(), actions.end(), rule.action) == actions.end()) continue;
    out += clause_line(rule);
  }
  return out;
}

std::string duty_line(const OwedDuty& owed) {
  std::string out;
  const auto put = [&out](const std::string& text) { out += (out.empty() ? "" : "; ") + text; };
  const Duty& duty = owed.duty;
  if (!duty.name_prefix.empty()) put(fmt::format("a name that begins “{}”", duty.name_prefix));
  for (const auto& line : duty.display) put(fmt::format("“{}” is shown", line));
  if (!duty.licence_copy.empty()) put(fmt::format("a copy of {}", duty.licence_copy));
  if (!duty.notice.empty()) put("notice: " + duty.notice);
  if (!duty.use_policy.empty()) put("use policy: " + duty.use_policy);
  if (duty.mau_limit > 0) put(fmt::format("at most {} users a month", duty.mau_limit));
  return fmt::format("  owed to {}: {}\n", owed.label, out);
}

}  // namespace

std::vector<Alternative> alternatives(const Question& question) {
  return Alternatives(question).find();
}

std::string explain_binding(const Facts& facts, const TermsSet& terms,
                            const std::vector<Action>& actions) {
  std::string out;
  std::set<std::pair<std::string, Object>> seen;
  for (const auto& reference : facts.terms) {
    const Terms* named = terms.find(reference.id);
    if (named == nullptr) {
      out += fmt::format("  terms {} that nobody here knows\n", reference.id.substr(0, 16));
      continue;
    }
    if (!seen.emplace(named->series, reference.object).second) continue;
    const Binding binding = binding_versions(*named, terms, facts.captured_ms);
    for (const auto* list : {&binding.in_force, &binding.beside}) {
      for (const Terms* one : *list) out += file_lines(*one, reference.object, actions);
    }
    if (binding.in_force.empty()) {
      out +=
          fmt::format("  {}: no version of {}\n", named->series, base::iso_date(facts.captured_ms));
    }
  }
  return out.empty() ? "  nothing: there are no terms\n" : out;
}

std::string explain_verdict(const Question& question) {
  const Verdict verdict = evaluate(question.facts, question.terms, question.purpose,
                                   question.action, question.declarations);
  std::string out = fmt::format("{}: {}\n", name(question.action), name(verdict.decision));
  for (const auto& finding : verdict.findings) {
    out += fmt::format("  {}\n", finding.sentence());
    if (!finding.need.empty()) out += fmt::format("    {}\n", finding.need);
  }
  for (const auto& one : verdict.declared) {
    out += fmt::format("  {} declared what {} leaves to a person\n", one.declarant,
                       one.question.series);
  }
  for (const auto& owed : verdict.duties) out += duty_line(owed);
  for (const auto& other : alternatives(question)) {
    out += fmt::format("  {}: {}\n", other.change, name(other.decision));
  }
  return out;
}

}  // namespace retort::terms
