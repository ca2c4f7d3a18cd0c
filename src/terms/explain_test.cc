#include "terms/explain.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/clock.h"
#include "terms/testing_internal.h"

namespace retort::terms {
namespace {

using testing::shipped;

Facts record(const std::string& series, const std::string& endpoint, const std::string& day) {
  Facts facts;
  facts.terms = {{shipped().versions(series).at(0)->id, Object::outputs}};
  facts.endpoint = endpoint;
  facts.models = {"m"};
  facts.captured_ms = base::parse_iso_date(day);
  return facts;
}

const Purpose kInHouse{.actions = all_actions(), .model_id = "student"};

// "change: decision", a line each.
std::string told(const Question& question) {
  std::string out;
  for (const auto& one : alternatives(question)) {
    out += one.change + ": " + name(one.decision) + "\n";
  }
  return out;
}

TEST(ExplainTest, DaysAreThoseOnWhichTheVerdictTurns) {
  Facts facts = record("xai.enterprise", "https://api.x.ai/v1", "2026-06-01");
  facts.plan = "enterprise";
  EXPECT_EQ(told({facts, shipped(), kInHouse, Action::train_generative, {}}),
            "had it been captured from 2026-08-14 on: needs_declaration\n");
  facts.captured_ms = base::parse_iso_date("2026-09-01");
  EXPECT_EQ(told({facts, shipped(), kInHouse, Action::train_generative, {}}),
            "had it been captured from 2025-06-27 to 2026-08-13: deny\n"
            "had it come with a signal that says no: deny\n"
            "if a decider declared, signed, what the terms leave to a person: permit\n");
}

TEST(ExplainTest, PurposesThatTurnIt) {
  const Facts facts = record("openai.api", "https://api.openai.com/v1", "2026-02-01");
  EXPECT_EQ(told({facts, shipped(), kInHouse, Action::train_classifier, {}}),
            "had it been captured from 2023-03-14 to 2023-11-13: needs_declaration\n"
            "had it been captured from 2023-11-14 to 2025-05-30: deny\n"
            "if the model were distributed: needs_declaration\n"
            "if the purpose were commercial: needs_declaration\n"
            "had it come with a signal that says no: deny\n");
  EXPECT_TRUE(told({facts, shipped(), kInHouse, Action::train_generative, {}})
                  .find("if the purpose said that it competes: deny") != std::string::npos);
  Purpose nothing = kInHouse;
  nothing.actions = {Action::store};
  EXPECT_EQ(told({facts, shipped(), nothing, Action::evaluate, {}}),
            "if the purpose named this action: permit\n");
}

TEST(ExplainTest, FeaturesPlansAndOtherTerms) {
  Facts facts = record("mistral.api", "https://api.mistral.ai/v1", "2026-01-15");
  facts.features = {"web_search"};
  facts.plan = "commercial";
  const std::string search = told({facts, shipped(), kInHouse, Action::store, {}});
  EXPECT_NE(search.find("had it been asked without web_search: permit\n"), std::string::npos)
      << search;
  facts.features.clear();
  facts.plan = "consumer";
  // Every version has its own plans; those of the one that is named are tried.
  for (const Terms* version : shipped().versions("mistral.api")) {
    if (version->applies.plans.empty()) continue;
    facts.terms = {{version->id, Object::outputs}};
  }
  const std::string plan = told({facts, shipped(), kInHouse, Action::store, {}});
  EXPECT_NE(plan.find("had it come on the plan “commercial”: permit\n"), std::string::npos) << plan;

  Facts both = record("together.platform", "https://api.together.xyz/v1", "2026-01-15");
  both.models = {"Llama-2-70b"};
  both.terms.push_back({shipped().versions("meta.llama-2").at(0)->id, Object::outputs});
  const std::string without = told({both, shipped(), kInHouse, Action::train_classifier, {}});
  EXPECT_EQ(without.find("without meta.llama-2"), without.find("without meta.llama-2: deny"))
      << "the shipped reading covers the model: leaving it out opens nothing\n"
      << without;
}

TEST(ExplainTest, EachAlternativeIsWhatEvaluationSays) {
  Facts facts = record("xai.consumer", "https://grok.com/x", "2025-03-01");
  const Question question{facts, shipped(), kInHouse, Action::train_generative, {}};
  const auto all = alternatives(question);
  ASSERT_FALSE(all.empty());
  const Decision now = evaluate(facts, shipped(), kInHouse, Action::train_generative).decision;
  EXPECT_EQ(now, Decision::needs_declaration);
  for (const auto& one : all) {
    EXPECT_NE(one.decision, now) << one.change;
    if (one.change != "had it been captured from 2025-06-09 on") continue;
    Facts later = facts;
    later.captured_ms = base::parse_iso_date("2025-06-09");
    EXPECT_EQ(evaluate(later, shipped(), kInHouse, Action::train_generative).decision,
              one.decision);
    later.captured_ms -= 1;
    EXPECT_EQ(evaluate(later, shipped(), kInHouse, Action::train_generative).decision, now);
  }
  EXPECT_EQ(std::count_if(all.begin(), all.end(),
                          [](const Alternative& one) {
                            return one.change == "had it been captured from 2025-06-09 on";
                          }),
            1);
}

TEST(ExplainTest, SaysWhatBindsSinceWhenAndByWhichClause) {
  const Facts facts = record("openai.api", "https://api.openai.com/v1", "2025-07-01");
  const std::string binds = explain_binding(facts, shipped(), {Action::train_generative});
  for (const char* part :
       {"openai.api 2025-05-31 by OpenAI, of the outputs, since 2025-05-31, until 2026-01-01",
        "read by retort maintainers on 2026-11-29",
        "prohibit train.generative, where competing [3.3(e)]", "permit train.generative [4.1]"}) {
    EXPECT_NE(binds.find(part), std::string::npos) << binds << "\nwants " << part;
  }
  EXPECT_EQ(binds.find("publish_model"), std::string::npos) << "only what was asked";
  const std::string verdict =
      explain_verdict({facts, shipped(), kInHouse, Action::train_generative, {}});
  EXPECT_EQ(verdict.find("train.generative: needs_declaration\n"), 0U) << verdict;
  EXPECT_NE(verdict.find("retort terms declare"), std::string::npos);

  const Facts gap = record("openai.api", "https://api.openai.com/v1", "2024-07-01");
  EXPECT_NE(explain_binding(gap, shipped(), all_actions()).find("no version of 2024-07-01"),
            std::string::npos);
  EXPECT_NE(explain_binding(Facts{}, shipped(), all_actions()).find("there are no terms"),
            std::string::npos);
}

TEST(ExplainTest, NamesDuties) {
  Facts facts = record("meta.llama-3.1", "http://localhost/v1", "2026-01-01");
  facts.models = {"Llama-3.1-8B"};
  Purpose distributed = kInHouse;
  distributed.distributed = true;
  const std::string verdict =
      explain_verdict({facts, shipped(), distributed, Action::publish_model, {}});
  EXPECT_NE(verdict.find("owed to meta.llama-3.1 2024-07-23: a name that begins “Llama”"),
            std::string::npos)
      << verdict;
  EXPECT_NE(verdict.find("if the model stayed in the house: permit\n"), std::string::npos)
      << verdict;
}

}  // namespace
}  // namespace retort::terms
