// Laws of the evaluation over random terms, records and purposes. Every case has a seed of its own,
// which a failure names.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/clock.h"
#include "base/random.h"
#include "terms/evaluate.h"

namespace retort::terms {
namespace {

constexpr int kCases = 500;

class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}
  size_t below(size_t n) { return static_cast<size_t>(random_.below(n)); }
  bool one_in(size_t n) { return below(n) == 0; }
  template <class List>
  auto pick(const List& list) {
    return list[below(list.size())];
  }

 private:
  base::Random random_;
};

const std::vector<std::string> kPrefixes = {"Alpha", "Alpha-2", "Beta", "Gamma"};
const std::vector<std::string> kScopes = {"any",        "any",      "competing",  "competing",
                                          "commercial", "research", "distributed"};
const std::vector<Object> kParts = {Object::outputs, Object::outputs, Object::texts,
                                    Object::weights};

std::string quoted(const std::string& text) {
  return "\"" + text + "\"";
}

std::string random_rule(Dice& dice, const std::string& effect) {
  std::string out = "[[rule]]\neffect = " + quoted(effect) +
                    "\naction = " + quoted(name(dice.pick(all_actions()))) +
                    "\nscope = " + quoted(dice.pick(kScopes)) +
                    "\nclause = " + quoted(std::to_string(dice.below(9))) + "\n";
  if (dice.one_in(3)) out += "object = \"outputs\"\n";
  if (effect == "prohibit" && dice.one_in(2)) out += "unless = \"order form\"\n";
  return out;
}

std::string random_duty(Dice& dice) {
  std::string out = "[[duty]]\n";
  if (dice.one_in(2)) out += "name_prefix = " + quoted(dice.pick(kPrefixes)) + "\n";
  if (dice.one_in(2)) out += "notice = \"n\"\n";
  if (dice.one_in(3)) out += "display = [\"d\"]\n";
  if (dice.one_in(3)) out += "object = \"outputs\"\n";
  return out;
}

struct Parts {
  std::string series, head, rules, duties;
  std::string text() const {
    return head + rules + duties + "[review]\nreader = \"R\"\nsilence = \"permit\"\n";
  }
};

Parts random_parts(Dice& dice, const std::string& series) {
  Parts parts{.series = series, .head = {}, .rules = {}, .duties = {}};
  parts.head = "schema = \"retort.terms/1\"\nassigner = \"A\"\nseries = " + quoted(series) +
               "\nversion = " + quoted(std::to_string(dice.below(100))) + "\n[applies]\n";
  if (dice.one_in(6)) parts.head += "models = [\"m-1\"]\n";
  if (dice.one_in(8)) parts.head += "plans = [\"paid\"]\n";
  parts.head += "[time]\neffective = 2026-01-0" + std::to_string(1 + dice.below(9)) +
                "\nretroactive = " + quoted(dice.one_in(5) ? "yes" : "no") + "\n";
  if (dice.one_in(5)) parts.head += "until = 2026-07-01\n";
  parts.head +=
      std::string("[source]\nbasis = ") + (dice.one_in(3) ? "\"silent\"\n" : "\"express\"\n");
  // Most permit most, or every verdict would be a denial.
  for (const Action action : all_actions()) {
    if (dice.one_in(8)) continue;
    parts.rules +=
        std::string("[[rule]]\neffect = \"permit\"\naction = ") + quoted(name(action)) + "\n";
  }
  for (size_t i = dice.below(3); i > 0; --i) parts.rules += random_rule(dice, "prohibit");
  for (size_t i = dice.below(2); i > 0; --i) parts.duties += random_duty(dice);
  return parts;
}

Terms parsed(const Parts& parts) {
  auto terms = parse_terms(parts.text(), "random.toml");
  EXPECT_TRUE(terms.ok()) << terms.error().text() << "\n" << parts.text();
  return std::move(*terms);
}

struct LatticeCase {
  Facts facts;
  TermsSet terms;
  std::vector<Parts> parts;
  Purpose purpose;
  Action action = Action::train_generative;

  void name(const Parts& of) {
    const Terms one = parsed(of);
    facts.terms.push_back({one.id, facts.object});
    terms.add(one);
    parts.push_back(of);
  }
  Verdict verdict(const std::vector<Declaration>& declared = {}) const {
    return evaluate(facts, terms, purpose, action, declared);
  }
};

LatticeCase random_case(Dice& dice) {
  LatticeCase out;
  out.facts.object = dice.pick(kParts);
  out.facts.endpoint = "https://host.example/v1";
  out.facts.plan = dice.one_in(2) ? "paid" : "free";
  out.facts.models = {dice.one_in(5) ? "m-2" : "m-1"};
  out.facts.captured_ms = base::parse_iso_date("2026-06-15");
  if (dice.one_in(10)) out.facts.captured_ms = base::parse_iso_date("2026-01-03");
  for (size_t i = 1 + dice.below(3); i > 0; --i) {
    out.name(random_parts(dice, "s" + std::to_string(i)));
  }
  out.purpose.actions = all_actions();
  out.purpose.model_id = "student";
  out.purpose.distributed = dice.one_in(2);
  out.purpose.commercial = dice.one_in(3);
  if (dice.one_in(4)) out.purpose.competing = dice.one_in(2);
  out.action = dice.pick(all_actions());
  return out;
}

// What a verdict says, without the order in which it was found.
struct Meaning {
  Decision decision;
  std::set<std::string> findings, duties, declared;
  bool operator==(const Meaning&) const = default;
};

std::string text_of(const OwedDuty& owed) {
  std::string out =
      owed.terms_id + owed.duty.name_prefix + "|" + owed.duty.notice + "|" + name(owed.duty.object);
  for (const auto& line : owed.duty.display) out += "|" + line;
  return out;
}

Meaning meaning(const Verdict& verdict) {
  Meaning out{verdict.decision, {}, {}, {}};
  for (const auto& one : verdict.findings) {
    out.findings.insert(one.terms_id + one.sentence() + one.need + name(one.decision));
  }
  for (const auto& one : verdict.duties) out.duties.insert(text_of(one));
  for (const auto& one : verdict.declared)
    out.declared.insert(one.declaration_id + one.question.sentence());
  return out;
}

// Runs a law over many cases, and says how often the verdicts were what: a law that is only ever
// tried on denials proves little.
template <class Law>
void for_cases(uint64_t salt, const Law& law) {
  std::map<Decision, int> seen;
  for (uint64_t seed = 0; seed < kCases && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(salt * 1'000'000 + seed));
    Dice dice(salt * 1'000'000 + seed);
    const LatticeCase one = random_case(dice);
    ++seen[one.verdict().decision];
    law(one, dice);
  }
  for (const Decision decision : {Decision::deny, Decision::needs_declaration,
                                  Decision::permit_with_duties, Decision::permit}) {
    EXPECT_GE(seen[decision], kCases / 50) << name(decision) << " hardly ever came up";
  }
}

TEST(PropertyTest, MeetIsIdempotentCommutativeAndAssociative) {
  for_cases(1, [](const LatticeCase& one, Dice& dice) {
    const Verdict a = one.verdict();
    const Verdict b = random_case(dice).verdict();
    const Verdict c = random_case(dice).verdict();
    EXPECT_EQ(meaning(meet(a, a)), meaning(a));
    EXPECT_EQ(meaning(meet(a, b)), meaning(meet(b, a)));
    EXPECT_EQ(meaning(meet(meet(a, b), c)), meaning(meet(a, meet(b, c))));
    EXPECT_EQ(meaning(meet(a, Verdict())), meaning(a)) << "nothing is neutral";
  });
}

TEST(PropertyTest, MoreRecordsNeverRaiseAndDutiesAreTheUnion) {
  for_cases(2, [](const LatticeCase& one, Dice& dice) {
    const Verdict a = one.verdict();
    const Verdict b = random_case(dice).verdict();
    const Verdict both = meet(a, b);
    EXPECT_LE(both.decision, std::min(a.decision, b.decision));
    std::set<std::string> united = meaning(a).duties;
    united.merge(meaning(b).duties);
    EXPECT_EQ(meaning(both).duties, united);
    if (!united.empty()) {
      EXPECT_LE(both.decision, Decision::permit_with_duties);
    }
    for (const auto& finding : a.findings) {
      EXPECT_TRUE(meaning(both).findings.count(finding.terms_id + finding.sentence() +
                                               finding.need + name(finding.decision)) == 1);
    }
  });
}

TEST(PropertyTest, MoreTermsNeverRaise) {
  for_cases(3, [](LatticeCase one, Dice& dice) {
    const Verdict before = one.verdict();
    one.name(random_parts(dice, "another"));
    const Verdict after = one.verdict();
    EXPECT_LE(after.decision, before.decision);
    for (const auto& duty : meaning(before).duties)
      EXPECT_EQ(meaning(after).duties.count(duty), 1U);
  });
}

// The case once more, with its first terms file changed.
LatticeCase changed(const LatticeCase& from, const Parts& first) {
  LatticeCase out = from;
  out.facts.terms.clear();
  out.parts.clear();
  out.terms = TermsSet();
  out.name(first);
  for (size_t i = 1; i < from.parts.size(); ++i) out.name(from.parts[i]);
  return out;
}

TEST(PropertyTest, AProhibitionOrADutyNeverRaisesAndAPermissionNeverLowers) {
  for_cases(4, [](const LatticeCase& one, Dice& dice) {
    const Decision before = one.verdict().decision;
    Parts stricter = one.parts[0];
    stricter.rules += random_rule(dice, "prohibit");
    EXPECT_LE(changed(one, stricter).verdict().decision, before);
    Parts owing = one.parts[0];
    owing.duties += random_duty(dice);
    EXPECT_LE(changed(one, owing).verdict().decision, before);
    Parts wider = one.parts[0];
    wider.rules += std::string("[[rule]]\neffect = \"permit\"\naction = ") +
                   quoted(name(dice.pick(all_actions()))) + "\n";
    EXPECT_GE(changed(one, wider).verdict().decision, before);
  });
}

TEST(PropertyTest, UnknownIsDenied) {
  for_cases(5, [](const LatticeCase& one, Dice&) {
    const auto denied = [](const LatticeCase& unknown) {
      EXPECT_EQ(unknown.verdict().decision, Decision::deny);
      EXPECT_FALSE(unknown.verdict().findings.empty());
    };
    LatticeCase nobody_knows = one;
    nobody_knows.facts.terms[0].id = std::string(64, '0');
    denied(nobody_knows);
    LatticeCase nothing = one;
    nothing.facts.terms.clear();
    denied(nothing);
    LatticeCase no_day = one;
    no_day.facts.captured_ms = 0;
    if (one.parts[0].head.find("retroactive = \"yes\"") == std::string::npos) denied(no_day);
    LatticeCase no_purpose = one;
    no_purpose.purpose.actions.clear();
    denied(no_purpose);
    LatticeCase no_model = one;
    no_model.purpose.model_id.clear();
    denied(no_model);
    LatticeCase other_part = one;
    other_part.facts.object = one.facts.object == Object::texts ? Object::outputs : Object::texts;
    denied(other_part);
  });
}

TEST(PropertyTest, ASignalLowersAndNeverRaises) {
  for_cases(6, [](LatticeCase one, Dice&) {
    const Verdict absent = one.verdict();
    one.facts.preference = Preference::yes;
    EXPECT_EQ(meaning(one.verdict()), meaning(absent));
    one.facts.preference = Preference::no;
    if (one.action == Action::store) {
      EXPECT_EQ(meaning(one.verdict()), meaning(absent));
    } else {
      EXPECT_EQ(one.verdict().decision, Decision::deny);
    }
  });
}

TEST(PropertyTest, DistributionNeverRaises) {
  for_cases(7, [](LatticeCase one, Dice&) {
    one.purpose.distributed = false;
    const Decision before = one.verdict().decision;
    EXPECT_TRUE(one.verdict().duties.empty());
    one.purpose.distributed = true;
    EXPECT_LE(one.verdict().decision, before);
  });
}

TEST(PropertyTest, ADeclarationLiftsNothingButAQuestion) {
  int lifted = 0;
  for_cases(8, [&lifted](const LatticeCase& one, Dice& dice) {
    Declaration declaration;
    declaration.id = "d";
    declaration.declarant = "P";
    declaration.model_id = dice.one_in(4) ? "another" : "student";
    declaration.max_records = 10;
    for (const auto& reference : one.facts.terms) declaration.terms.push_back(reference.id);
    std::sort(declaration.terms.begin(), declaration.terms.end());
    if (dice.one_in(4)) declaration.void_reason = "it was revoked";
    const Verdict before = one.verdict();
    const Verdict after = one.verdict({declaration});
    const bool counts = declaration.model_id == "student" && declaration.void_reason.empty();
    if (before.decision != Decision::needs_declaration || !counts) {
      EXPECT_EQ(after.decision, before.decision);
      return;
    }
    EXPECT_GT(after.decision, before.decision);
    EXPECT_FALSE(after.declared.empty());
    ++lifted;
  });
  EXPECT_GT(lifted, 10);
}

TEST(PropertyTest, TwoNamesThatCannotBothBeBegunAreDeniedWithBothNamed) {
  int contradictions = 0;
  for_cases(9, [&contradictions](const LatticeCase& one, Dice& dice) {
    const Verdict both = meet(one.verdict(), random_case(dice).verdict());
    const OwedDuty *first = nullptr, *second = nullptr;
    for (const auto& a : both.duties) {
      for (const auto& b : both.duties) {
        const auto& x = a.duty.name_prefix;
        const auto& y = b.duty.name_prefix;
        if (x.find(y) == 0 || y.find(x) == 0) continue;
        first = &a;
        second = &b;
      }
    }
    const auto names_both = [&](const Finding& finding) {
      const auto has = [&finding](const std::string& part) {
        return finding.reason.find(part) != std::string::npos;
      };
      return has(first->label) && has(second->label) && has("“" + first->duty.name_prefix + "”") &&
             has("“" + second->duty.name_prefix + "”");
    };
    if (first == nullptr) return;
    ++contradictions;
    EXPECT_EQ(both.decision, Decision::deny);
    EXPECT_TRUE(std::any_of(both.findings.begin(), both.findings.end(), names_both));
  });
  EXPECT_GT(contradictions, 10);
}

}  // namespace
}  // namespace retort::terms
