#include "terms/evaluate.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/files.h"

namespace retort::terms {
namespace {

struct Source {
  std::string version = "1";
  std::string applies{};
  std::string time = "effective = 2026-01-01";
  std::string basis = "express";
  std::string rules = R"(
[[rule]]
effect = "permit"
action = "train.generative"
clause = "1"
text = "may train"
)";
  std::string more{};
  std::string review = "reader = \"R\"";
  std::string series = "s";
};

Terms terms_of(const Source& source) {
  auto parsed =
      parse_terms("schema = \"retort.terms/1\"\nassigner = \"A\"\nseries = \"" + source.series +
                      "\"\nversion = \"" + source.version + "\"\n[applies]\n" + source.applies +
                      "\n[time]\n" + source.time + "\n[source]\nbasis = \"" + source.basis +
                      "\"\n" + source.rules + source.more + "\n[review]\n" + source.review + "\n",
                  "test.toml");
  EXPECT_TRUE(parsed.ok()) << parsed.error().text();
  return std::move(*parsed);
}

std::string rule(const std::string& effect, const std::string& action,
                 const std::string& more = "") {
  return "\n[[rule]]\neffect = \"" + effect + "\"\naction = \"" + action + "\"\n" + more + "\n";
}

// A record of 2026-06-01 under some terms, and what is asked about it.
struct Case {
  Facts facts{.endpoint = "http://127.0.0.1:8080/v1",
              .models = {"m-1"},
              .captured_ms = base::parse_iso_date("2026-06-01")};
  TermsSet terms;
  Purpose purpose{.actions = all_actions(), .model_id = "student"};
  Action action = Action::train_generative;

  explicit Case(const std::vector<Source>& sources) {
    for (const auto& source : sources) add(source);
  }
  void add(const Source& source, Object object = Object::outputs) {
    const Terms parsed = terms_of(source);
    facts.terms.push_back({parsed.id, object});
    terms.add(parsed);
  }
  Verdict verdict() const { return evaluate(facts, terms, purpose, action); }
  Decision decision() const { return verdict().decision; }
  std::string sentences() const {
    std::string out;
    for (const auto& finding : verdict().findings) out += finding.sentence() + "\n";
    return out;
  }
};

TEST(EvaluateTest, PermitsWhatIsExpresslyPermitted) {
  Case c({Source{}});
  EXPECT_EQ(c.decision(), Decision::permit) << c.sentences();
  EXPECT_TRUE(c.verdict().findings.empty());
  c.action = Action::evaluate;
  EXPECT_EQ(c.decision(), Decision::deny) << "no clause speaks of it";
}

TEST(EvaluateTest, DeniesByDefault) {
  Case none({});
  EXPECT_EQ(none.decision(), Decision::deny);
  EXPECT_NE(none.sentences().find("no terms"), std::string::npos);

  Case unknown({Source{}});
  unknown.facts.terms[0].id = std::string(64, 'a');
  EXPECT_NE(unknown.sentences().find("not known"), std::string::npos);
  EXPECT_EQ(unknown.decision(), Decision::deny);

  Case nobody({Source{.review = ""}});
  EXPECT_EQ(nobody.decision(), Decision::deny);

  Case forged({Source{.review = "reader = \"retort maintainers\""}});
  EXPECT_EQ(forged.decision(), Decision::deny);
  EXPECT_NE(forged.sentences().find("did not read this text"), std::string::npos);

  Case only_texts({});
  only_texts.add(Source{}, Object::texts);
  EXPECT_EQ(only_texts.decision(), Decision::deny) << "terms of prompts do not cover answers";
}

TEST(EvaluateTest, AsksForThePurpose) {
  Case c({Source{}});
  c.purpose.actions = {Action::evaluate};
  EXPECT_EQ(c.decision(), Decision::deny);
  EXPECT_NE(c.sentences().find("purpose does not name train.generative"), std::string::npos);
  Case nameless({Source{}});
  nameless.purpose.model_id = "";
  EXPECT_EQ(nameless.decision(), Decision::deny);
}

TEST(EvaluateTest, TimeOfCaptureDecides) {
  Case expired({Source{.time = "effective = 2025-01-01\nuntil = 2026-06-01"}});
  EXPECT_EQ(expired.decision(), Decision::deny);
  EXPECT_NE(expired.sentences().find("ended on 2026-06-01"), std::string::npos);
  expired.facts.captured_ms -= 1;
  EXPECT_EQ(expired.decision(), Decision::permit) << "the day before the end";

  Case early({Source{.time = "effective = 2026-06-02"}});
  EXPECT_EQ(early.decision(), Decision::deny);
  EXPECT_NE(early.sentences().find("come into force on 2026-06-02"), std::string::npos);
  Case observed({Source{.time = "observed = 2026-06-02"}});
  EXPECT_EQ(observed.decision(), Decision::deny);
}

TEST(EvaluateTest, TheVersionInForceBinds) {
  const Source old{.version = "old"};
  const Source hard{.version = "hard",
                    .time = "effective = 2026-05-01",
                    .rules = rule("prohibit", "train.generative", "clause = \"9\"")};
  Case c({old});
  c.terms.add(terms_of(hard));  // known, though the record names the old one
  EXPECT_EQ(c.decision(), Decision::deny);
  EXPECT_NE(c.sentences().find("s hard: prohibit train.generative (9)"), std::string::npos)
      << c.sentences();
  c.facts.captured_ms = base::parse_iso_date("2026-04-30");
  EXPECT_EQ(c.decision(), Decision::permit);

  Source reaching = hard;
  reaching.time = "effective = 2026-12-01\nretroactive = \"yes\"";
  c.terms.add(terms_of(reaching));
  EXPECT_EQ(c.decision(), Decision::deny) << "a later version that reaches back";
}

TEST(EvaluateTest, TwoReadingsOfOneDayMustBothPermit) {
  Source other{.rules = rule("prohibit", "train.generative"), .more = ""};
  for (const bool reverse : {false, true}) {
    Case c(reverse ? std::vector<Source>{other, Source{}} : std::vector<Source>{Source{}, other});
    EXPECT_EQ(c.decision(), Decision::deny);
  }
}

TEST(EvaluateTest, OfTwoReadingsOfOneDayBothBindAndTheRefusalSaysSo) {
  Case c({Source{.version = "1", .rules = rule("prohibit", "train.generative")}, Source{}});
  EXPECT_EQ(c.decision(), Decision::deny);
  ASSERT_FALSE(c.verdict().findings.empty());
  EXPECT_NE(c.verdict().findings[0].need.find("both bind"), std::string::npos);
  Case later({Source{.rules = rule("prohibit", "train.generative")},
              Source{.version = "2", .time = "effective = 2026-02-01"}});
  EXPECT_EQ(later.decision(), Decision::permit) << "the later one binds alone";
}

TEST(EvaluateTest, TermsMustApplyToTheDoor) {
  const auto denied = [](const std::string& applies, const std::string& field, auto change) {
    Case c({Source{.applies = applies}});
    EXPECT_EQ(c.decision(), Decision::permit) << applies << "\n" << c.sentences();
    change(c.facts);
    EXPECT_EQ(c.decision(), Decision::deny) << applies;
    EXPECT_NE(c.sentences().find("outside their " + field), std::string::npos) << c.sentences();
  };
  denied("models = [\"M-*\"]", "models", [](Facts& f) { f.models = {"m-1", "other"}; });
  denied("models = [\"m-*\"]", "models", [](Facts& f) { f.models.clear(); });
  denied("endpoints = [\"http://127.0.0.1:*\"]", "endpoints",
         [](Facts& f) { f.endpoint = "https://host.example/v1"; });
  denied("endpoints = [\"http://127.0.0.1:*\"]", "endpoints",
         [](Facts& f) { f.endpoint = "http://127.0.0.1:80@host.example/v1"; });
  denied("modality = [\"text\"]", "modality", [](Facts& f) { f.modality = "image"; });
  denied("features_excluded = [\"web_search\"]", "features",
         [](Facts& f) { f.features = {"web_search"}; });
  Case plan({Source{.applies = "plans = [\"enterprise\"]"}});
  EXPECT_EQ(plan.decision(), Decision::deny);
}

TEST(EvaluateTest, ScopesNeedWhatTheySay) {
  const std::string permit = rule("permit", "train.generative");
  Case competing(
      {Source{.rules = permit + rule("prohibit", "train.generative", "scope = \"competing\"")}});
  EXPECT_EQ(competing.decision(), Decision::needs_declaration);
  EXPECT_FALSE(competing.verdict().permits());
  EXPECT_FALSE(competing.verdict().findings[0].need.empty());
  competing.purpose.competing = false;
  EXPECT_EQ(competing.decision(), Decision::needs_declaration) << "not for the program to say";
  competing.purpose.competing = true;
  EXPECT_EQ(competing.decision(), Decision::deny);

  Case commercial(
      {Source{.rules = permit + rule("prohibit", "train.generative", "scope = \"commercial\"")}});
  EXPECT_EQ(commercial.decision(), Decision::permit);
  commercial.purpose.commercial = true;
  EXPECT_EQ(commercial.decision(), Decision::deny);

  Case research({Source{.rules = rule("permit", "train.generative", "scope = \"research\"")}});
  EXPECT_EQ(research.decision(), Decision::needs_declaration);
  research.purpose.commercial = true;
  EXPECT_EQ(research.decision(), Decision::deny);

  Case unless(
      {Source{.rules = permit + rule("prohibit", "train.generative", "unless = \"order form\"")}});
  EXPECT_EQ(unless.decision(), Decision::needs_declaration);
  Case both({Source{.rules = permit + rule("prohibit", "train.generative")}});
  EXPECT_EQ(both.decision(), Decision::deny) << "a prohibition wins";
}

TEST(EvaluateTest, SilenceCountsOnlyIfTheReaderSaysSo) {
  Case silent({Source{.basis = "silent"}});
  EXPECT_EQ(silent.decision(), Decision::deny);
  Case read({Source{.basis = "silent", .review = "reader = \"R\"\nsilence = \"permit\""}});
  EXPECT_EQ(read.decision(), Decision::permit);
}

TEST(EvaluateTest, SignalsLowerAndNeverRaise) {
  Case c({Source{}});
  c.facts.preference = Preference::no;
  EXPECT_EQ(c.decision(), Decision::deny);
  Case forbidden({Source{.rules = rule("prohibit", "train.generative")}});
  forbidden.facts.preference = Preference::yes;
  EXPECT_EQ(forbidden.decision(), Decision::deny);
}

TEST(EvaluateTest, DutiesAreOwedWhenDistributed) {
  Case c({Source{.more = "\n[duty]\nname_prefix = \"Llama\"\n"}});
  EXPECT_EQ(c.decision(), Decision::permit);
  c.purpose.distributed = true;
  EXPECT_EQ(c.decision(), Decision::permit_with_duties);
  EXPECT_TRUE(c.verdict().permits());
  ASSERT_EQ(c.verdict().duties.size(), 1u);
  EXPECT_EQ(c.verdict().duties[0].duty.name_prefix, "Llama");

  c.add(Source{.more = "\n[duty]\nname_prefix = \"Llama-3\"\n", .series = "t"});
  EXPECT_EQ(c.decision(), Decision::permit_with_duties) << "one name can meet both";
  c.add(Source{.more = "\n[duty]\nname_prefix = \"Gemma\"\n", .series = "u"});
  EXPECT_EQ(c.decision(), Decision::deny);
  EXPECT_NE(c.sentences().find("“Llama”"), std::string::npos);
  EXPECT_NE(c.sentences().find("“Gemma”"), std::string::npos);

  Case weights({Source{.more = "\n[duty]\nnotice = \"n\"\nobject = \"weights\"\n"}});
  weights.purpose.distributed = true;
  EXPECT_EQ(weights.decision(), Decision::permit) << "only the weights bring this duty";
}

TEST(EvaluateTest, AllTermsOfARecordMustPermit) {
  Case c({Source{}});
  c.add(Source{.rules = rule("prohibit", "train.generative"), .series = "prompts"}, Object::texts);
  EXPECT_EQ(c.decision(), Decision::deny);
  const Verdict good = Case({Source{}}).verdict();
  EXPECT_EQ(meet(good, c.verdict()).decision, Decision::deny);
  EXPECT_EQ(meet(c.verdict(), c.verdict()).findings.size(), c.verdict().findings.size());
}

TEST(EvaluateTest, Patterns) {
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("a*c", "abbc"));
  EXPECT_TRUE(matches("*SmolLM2*", "HuggingFaceTB/smollm2-135m"));
  EXPECT_FALSE(matches("a*c", "abb"));
  EXPECT_FALSE(matches("", "a"));
  EXPECT_FALSE(matches(std::string(40, '*') + "b", std::string(10'000, 'a')));
}

TEST(EvaluateTest, ShippedReadingsSayWhatTheyAreFor) {
  const auto shipped = [](const std::string& file) {
    auto terms = load_terms(std::string(RETORT_SOURCE_DIR) + "/terms/" + file);
    EXPECT_TRUE(terms.ok());
    return std::move(*terms);
  };
  Case c({});
  c.facts.models = {"SmolLM2-135M-Instruct", "SmolLM2-135M-Instruct.Q4_1.gguf"};
  const Terms door = shipped("smollm2-apache.toml");
  const Terms own = shipped("own-work.toml");
  c.terms.add(door);
  c.terms.add(own);
  c.facts.terms = {{door.id, Object::outputs}, {own.id, Object::texts}};
  for (const Action action : {Action::store, Action::train_generative, Action::evaluate}) {
    c.action = action;
    EXPECT_EQ(c.decision(), Decision::permit) << c.sentences();
  }
  const Terms forbids = shipped("example-forbids-training.toml");
  c.terms.add(forbids);
  c.facts.terms[0].id = forbids.id;
  c.action = Action::train_generative;
  EXPECT_EQ(c.decision(), Decision::deny);
  EXPECT_NE(c.sentences().find("4.2(c)"), std::string::npos);
  c.action = Action::store;
  EXPECT_EQ(c.decision(), Decision::permit) << c.sentences();
  // Own work named for a model's answers says nothing about them.
  c.facts.terms = {{own.id, Object::outputs}};
  EXPECT_EQ(c.decision(), Decision::deny);
}

}  // namespace
}  // namespace retort::terms
