#include <gtest/gtest.h>

#include <set>

#include "base/clock.h"
#include "base/files.h"
#include "terms/evaluate.h"
#include "terms/shipped_table_internal.h"
#include "terms/testing_internal.h"

namespace retort::terms {
namespace {

using testing::shipped;

// Any version of it: which one binds is for the day to say.
Reference reference(const std::string& series, Object object) {
  const auto versions = shipped().versions(series);
  EXPECT_FALSE(versions.empty()) << series;
  return {versions.empty() ? "" : versions[0]->id, object};
}

Facts facts_of(const Door& door, int64_t captured_ms) {
  Facts facts;
  facts.object = door.object;
  facts.terms = {reference(door.series, door.object)};
  facts.endpoint = door.endpoint;
  facts.plan = door.plan;
  facts.models = {door.model};
  facts.captured_ms = captured_ms;
  return facts;
}

bool said(const Verdict& verdict, const std::string& part) {
  for (const auto& finding : verdict.findings) {
    if (finding.sentence().find(part) != std::string::npos) return true;
  }
  return false;
}

bool forbidden(const Verdict& verdict) {
  for (const auto& finding : verdict.findings) {
    if (finding.effect == Effect::prohibit && finding.decision == Decision::deny) return true;
  }
  return false;
}

// The verdict with its reason as one letter; "?" where the reason is none that the table knows.
char letter(const Verdict& verdict) {
  switch (verdict.decision) {
    case Decision::permit:
      return 'P';
    case Decision::permit_with_duties:
      return 'D';
    case Decision::needs_declaration:
      return 'N';
    case Decision::deny:
      break;
  }
  if (said(verdict, "come into force on") || said(verdict, "they ended on")) return 'T';
  if (forbidden(verdict)) return 'X';
  return said(verdict, "no clause permits") ? '-' : '?';
}

std::string letters(const Facts& facts, const Purpose& purpose) {
  std::string out;
  for (const Action action : kColumns) {
    out += letter(evaluate(facts, shipped(), purpose, action));
  }
  return out;
}

Purpose in_house() {
  return {.actions = all_actions(), .model_id = "student"};
}
Purpose sold() {
  return {.actions = all_actions(), .model_id = "student", .distributed = true, .commercial = true};
}
Purpose rival() {
  Purpose purpose = sold();
  purpose.competing = true;
  return purpose;
}

constexpr int64_t kDay_ms = 24 * 60 * 60 * 1000;

std::vector<int64_t> moments(const Row& row) {
  const int64_t first = base::parse_iso_date(row.first);
  const std::string last = row.last;
  return {first, last.empty() ? base::parse_iso_date("2030-01-01")
                              : base::parse_iso_date(last) + kDay_ms - 1};
}

TEST(ShippedTest, EveryDoorActionPurposeAndDayAsTheTableSays) {
  for (const Door& door : doors()) {
    for (const Row& row : door.rows) {
      for (const int64_t moment : moments(row)) {
        const auto where =
            std::string(door.series) + " " + name(door.object) + " on " + base::iso_date(moment);
        const Facts facts = facts_of(door, moment);
        EXPECT_EQ(letters(facts, in_house()), row.in_house) << where << ", in house";
        EXPECT_EQ(letters(facts, sold()), row.sold) << where << ", sold";
        EXPECT_EQ(letters(facts, rival()), row.rival) << where << ", competing";
      }
    }
  }
}

TEST(ShippedTest, TheTableHasNoGapAndNamesEveryVersion) {
  std::set<std::string> begun;
  for (const Door& door : doors()) {
    for (size_t i = 0; i < door.rows.size(); ++i) {
      begun.insert(std::string(door.series) + " " + door.rows[i].first);
      if (i == 0) continue;
      EXPECT_EQ(base::parse_iso_date(door.rows[i - 1].last) + kDay_ms,
                base::parse_iso_date(door.rows[i].first))
          << door.series << " " << door.rows[i].first;
    }
    EXPECT_STREQ(door.rows.back().last, "") << door.series;
  }
  int real = 0;
  for (const Terms* terms : shipped().all()) {
    if (terms->archive.empty()) continue;  // no door of others
    ++real;
    EXPECT_EQ(begun.count(terms->series + " " + base::iso_date(terms->effective_ms)), 1U)
        << terms->label() << " has no line in the table";
  }
  EXPECT_GE(real, 20);
}

TEST(ShippedTest, ReadingsCiteWhatTheyRead) {
  for (const Terms* terms : shipped().all()) {
    if (terms->archive.empty()) continue;
    EXPECT_FALSE(terms->doc_sha256.empty()) << terms->label();
    EXPECT_FALSE(terms->clause_sha256.empty()) << terms->label();
    EXPECT_FALSE(terms->url.empty()) << terms->label();
    EXPECT_FALSE(terms->observed.empty()) << terms->label();
    EXPECT_TRUE(terms->pinned) << terms->label();
    EXPECT_NE(terms->text.find("Not legal"), std::string::npos) << terms->label();
    for (const Rule& rule : terms->rules) {
      EXPECT_FALSE(rule.text.empty()) << terms->label();
      EXPECT_LT(rule.text.size(), 140U) << terms->label() << ": paraphrase, do not copy";
    }
  }
}

const Door& door_named(const std::string& series) {
  for (const Door& door : doors()) {
    if (door.series == series && door.object == Object::outputs) return door;
  }
  ADD_FAILURE() << series;
  return doors()[0];
}

// A permitted record of the door, then one thing changed.
std::string refusal(const std::string& series, const std::string& day, auto change) {
  Facts facts = facts_of(door_named(series), base::parse_iso_date(day));
  EXPECT_EQ(evaluate(facts, shipped(), in_house(), Action::store).decision, Decision::permit);
  change(facts);
  const Verdict verdict = evaluate(facts, shipped(), in_house(), Action::store);
  EXPECT_EQ(verdict.decision, Decision::deny) << series;
  std::string out;
  for (const auto& finding : verdict.findings) out += finding.sentence() + "\n";
  return out;
}

TEST(ShippedTest, WrongPlanFeatureModalityModelHostAndUnknownDayAreDenied) {
  const auto has = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text << "\nwants " << part;
  };
  has(refusal("mistral.api", "2026-06-01", [](Facts& f) { f.plan = "consumer"; }),
      "“consumer” is outside their plans");
  has(refusal("mistral.api", "2026-06-01", [](Facts& f) { f.plan = ""; }), "plans");
  has(refusal("xai.enterprise", "2026-06-01", [](Facts& f) { f.plan = "consumer"; }), "plans");
  has(refusal("mistral.api", "2026-06-01", [](Facts& f) { f.modality = "image"; }),
      "“image” is outside their modality");
  has(refusal("mistral.api", "2026-01-01", [](Facts& f) { f.features = {"web_search"}; }),
      "“web_search” is outside their features");
  has(refusal("meta.llama-3", "2026-01-01", [](Facts& f) { f.models = {"Meta-Llama-3.1-8B"}; }),
      "outside their models");
  has(refusal("alibaba.qwen3", "2026-01-01",
              [](Facts& f) { f.endpoint = "https://api.host.example/v1"; }),
      "outside their endpoints");
  has(refusal("openai.api", "2026-06-01",
              [](Facts& f) { f.endpoint = "https://api.openai.com.evil.example/v1"; }),
      "outside their endpoints");
  for (const Door& door : doors()) {
    const Facts unknown = facts_of(door, 0);
    EXPECT_EQ(evaluate(unknown, shipped(), in_house(), Action::store).decision, Decision::deny)
        << door.series << ": a record without a day";
  }
}

TEST(ShippedTest, AfterTheWebSearchClauseWentItsAnswersAreFree) {
  Facts facts = facts_of(door_named("mistral.api"), base::parse_iso_date("2026-03-12"));
  facts.features = {"web_search"};
  EXPECT_EQ(letters(facts, in_house()), kFree);
}

// An own reading that permits everything, alone, at each door whose shipped reading restricts it.
TEST(ShippedTest, NoDoorIsOpenedByAnOwnReadingAlone) {
  std::string rules;
  for (const Action action : all_actions()) {
    rules += std::string("[[rule]]\neffect = \"permit\"\naction = \"") + name(action) + "\"\n";
  }
  auto own = parse_terms(
      "schema = \"retort.terms/1\"\nseries = \"own\"\nversion = \"1\"\n"
      "assigner = \"A\"\n[time]\neffective = 2020-01-01\n[source]\n"
      "basis = \"express\"\n" +
          rules + "[review]\nreader = \"R\"\n",
      "own.toml");
  ASSERT_TRUE(own.ok()) << own.error().text();
  TermsSet set = shipped();
  set.add(*own);
  int closed = 0;
  for (const Door& door : doors()) {
    Facts facts = facts_of(door, base::parse_iso_date("2026-10-01"));
    facts.terms = {{own->id, door.object}};
    const Verdict verdict = evaluate(facts, set, in_house(), Action::train_generative);
    const std::string row = door.rows.back().sold;
    const bool of_weights = door.object == Object::weights;
    const bool restricts = row.find_first_of("NX") != std::string::npos ||
                           (row.find('D') != std::string::npos && !of_weights) ||
                           (of_weights && std::string(door.series).find("meta.") == 0);
    if (!restricts) continue;
    ++closed;
    EXPECT_EQ(verdict.decision, Decision::deny) << door.series;
    EXPECT_TRUE(said(verdict, "covers this door")) << door.series;
    facts.plan = "";  // not saying on which plan opens nothing
    EXPECT_FALSE(evaluate(facts, set, in_house(), Action::train_generative).permits());
  }
  EXPECT_GE(closed, 12);
}

TEST(ShippedTest, AHostAndAModelBindAtOnce) {
  Facts facts = facts_of(door_named("together.platform"), base::parse_iso_date("2026-06-01"));
  facts.models = {"meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo"};
  const Verdict host = evaluate(facts, shipped(), sold(), Action::store);
  EXPECT_EQ(host.decision, Decision::deny);
  EXPECT_TRUE(said(host, "terms/llama-3.1.toml covers this door"));
  facts.terms.push_back(reference("meta.llama-3.1", Object::outputs));
  const Verdict both = evaluate(facts, shipped(), sold(), Action::store);
  EXPECT_EQ(both.decision, Decision::permit_with_duties);
  ASSERT_EQ(both.duties.size(), 1U);
  EXPECT_EQ(both.duties[0].duty.name_prefix, "Llama");
  EXPECT_EQ(evaluate(facts, shipped(), sold(), Action::train_generative).decision,
            Decision::needs_declaration);
}

TEST(ShippedTest, AModelDistilledIntoLlamaIsUnderBothLicences) {
  Facts facts = facts_of(door_named("deepseek.r1-weights"), base::parse_iso_date("2026-06-01"));
  facts.models = {"deepseek-ai/DeepSeek-R1-Distill-Llama-8B"};
  EXPECT_FALSE(evaluate(facts, shipped(), sold(), Action::train_generative).permits());
  facts.terms.push_back(reference("meta.llama-3.1", Object::outputs));
  const Verdict both = evaluate(facts, shipped(), sold(), Action::train_generative);
  EXPECT_EQ(both.decision, Decision::permit_with_duties);
  ASSERT_EQ(both.duties.size(), 1U);
  EXPECT_EQ(both.duties[0].duty.name_prefix, "Llama");
}

TEST(ShippedTest, WhatAStudentOwesDependsOnWhatItTook) {
  const Purpose purpose = sold();
  Facts facts = facts_of(door_named("meta.llama-3.1"), base::parse_iso_date("2026-06-01"));
  const Verdict answers = evaluate(facts, shipped(), purpose, Action::publish_model);
  ASSERT_EQ(answers.duties.size(), 1U);
  EXPECT_TRUE(answers.duties[0].duty.display.empty()) << "only what holds the weights shows it";
  facts.object = Object::weights;
  facts.terms = {reference("meta.llama-3.1", Object::weights)};
  const Verdict weights = evaluate(facts, shipped(), purpose, Action::publish_model);
  ASSERT_EQ(weights.duties.size(), 1U);
  EXPECT_EQ(weights.duties[0].duty.display, std::vector<std::string>{"Built with Llama"});
  EXPECT_EQ(weights.duties[0].duty.licence_copy, "Llama-3.1");
  EXPECT_EQ(meet(answers, weights).duties.size(), 2U) << "one terms file, two different duties";
}

}  // namespace
}  // namespace retort::terms
