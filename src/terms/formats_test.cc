#include "terms/formats.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "json/value.h"

namespace retort::terms {
namespace {

Terms shipped(const std::string& file) {
  auto terms = load_terms(std::string(RETORT_SOURCE_DIR) + "/terms/" + file);
  EXPECT_TRUE(terms.ok()) << file;
  return std::move(*terms);
}

std::string text(const std::string& file, const std::string& format) {
  const auto out = export_terms(shipped(file), format);
  return out ? out->text : "refused: " + out.error().text();
}

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(FormatsTest, AiprefSaysYesNoOrNothing) {
  EXPECT_TRUE(
      says(text("deepseek-api-2026-04-29.toml", "aipref"), "\nContent-Usage: train-ai=y\n"));
  EXPECT_TRUE(
      says(text("google-consumer-2026-07-30.toml", "aipref"), "\nContent-Usage: train-ai=n\n"));
  // A condition is neither; it is never rounded.
  for (const char* file : {"openai-api-2026-01-01.toml", "xai-enterprise-2026-08-14.toml",
                           "llama-2.toml", "together-2025-10-21.toml"}) {
    EXPECT_TRUE(says(text(file, "aipref"), "refused: aipref cannot say")) << file;
    EXPECT_FALSE(says(text(file, "aipref"), "train-ai=")) << file;
  }
  EXPECT_TRUE(says(text("own-work.toml", "aipref"), "train-ai=y"));
}

TEST(FormatsTest, RslNamesWhatItHasWordsFor) {
  const std::string xai = text("xai-enterprise-2025-06-27.toml", "rsl");
  EXPECT_TRUE(says(xai, "<rsl xmlns=\"https://rslstandard.org/rsl\">"));
  EXPECT_TRUE(says(xai, "<content url=\"https://api.x.ai/*\">"));
  EXPECT_FALSE(says(xai, "https://api.x.ai:*")) << "an address without a path";
  EXPECT_TRUE(says(xai, "<prohibits type=\"usage\">ai-train</prohibits>"));
  EXPECT_FALSE(says(xai, "<permits")) << "a judge is bound to a condition";
  EXPECT_TRUE(says(xai, "<!-- not said: judge depends on a condition"));
  const std::string deepseek = text("deepseek-api-2026-04-29.toml", "rsl");
  EXPECT_TRUE(says(deepseek, "<permits type=\"usage\">ai-train,ai-input</permits>"));
  EXPECT_FALSE(says(deepseek, "<prohibits"));
  EXPECT_TRUE(says(text("llama-3.1.toml", "rsl"), "refused: RSL cannot say"));
}

TEST(FormatsTest, RslEscapesWhatComesFromTheFile) {
  Terms terms = shipped("deepseek-api-2026-04-29.toml");
  terms.assigner = "A & B <\"C\">";
  terms.version = "1 --> 2";
  const auto out = export_terms(terms, "rsl");
  ASSERT_TRUE(out.ok());
  EXPECT_TRUE(says(out->text, ">A &amp; B &lt;&quot;C&quot;&gt;</copyright>")) << out->text;
  EXPECT_FALSE(says(out->text, "1 -->"));
}

TEST(FormatsTest, TdmrepReservesUnlessAllTrainingIsFree) {
  const auto reserved = *json::parse(text("openai-api-2026-01-01.toml", "tdmrep"), "t");
  ASSERT_EQ(reserved.as_array().size(), 1U);
  const auto& entry = reserved.as_array()[0];
  EXPECT_EQ(*entry.string_at("location"), "/*");
  EXPECT_EQ(*entry.int_at("tdm-reservation"), 1);
  EXPECT_EQ(*entry.string_at("tdm-policy"), "https://openai.com/policies/services-agreement/");
  const auto free = *json::parse(text("mistral-api-2026-03-12.toml", "tdmrep"), "t");
  EXPECT_EQ(*free.as_array()[0].int_at("tdm-reservation"), 0);
  EXPECT_EQ(free.as_array()[0].find("tdm-policy"), nullptr);
}

TEST(FormatsTest, OdrlSaysAll) {
  const auto policy = *json::parse(text("openai-api-2025-05-31.toml", "odrl"), "t");
  EXPECT_EQ(*policy.string_at("@type"), "Offer");
  EXPECT_EQ(*policy.string_at("conflict"), "prohibit");
  const Terms terms = shipped("openai-api-2025-05-31.toml");
  EXPECT_TRUE(says(*policy.string_at("uid"), terms.id));
  const auto& permissions = policy.find("permission")->as_array();
  const auto& prohibitions = policy.find("prohibition")->as_array();
  EXPECT_EQ(permissions.size() + prohibitions.size(), terms.rules.size());
  const auto& first = prohibitions[0];
  EXPECT_EQ(*first.string_at("action"), "retort:train.generative");
  EXPECT_EQ(*first.string_at("retort:clause"), "3.3(e)");
  const std::string constraints = json::dump(*first.find("constraint"));
  EXPECT_TRUE(says(constraints, "2025-05-31")) << constraints;
  EXPECT_TRUE(says(constraints, "2026-01-01")) << constraints;
  EXPECT_TRUE(says(constraints, "retort:competing")) << constraints;
  EXPECT_TRUE(says(json::dump(*first.find("target")), "https://api.openai.com/*"));
}

TEST(FormatsTest, OdrlBindsDutiesToPublishing) {
  const auto policy = *json::parse(text("llama-3.1.toml", "odrl"), "t");
  int with_duties = 0;
  for (const auto& rule : policy.find("permission")->as_array()) {
    const auto* duty = rule.find("duty");
    if (duty == nullptr) continue;
    ++with_duties;
    EXPECT_EQ(*rule.string_at("action"), "retort:publish_model");
    const std::string all = json::dump(*duty);
    EXPECT_TRUE(says(all, "retort:beginName"));
    EXPECT_EQ(says(all, "Built with Llama"), says(json::dump(rule), "retort:weights")) << all;
  }
  EXPECT_EQ(with_duties, 2) << "of answers and of weights";
}

// No format ever permits training that the terms do not permit without a condition.
TEST(FormatsTest, NothingIsEverRoundedUp) {
  int said = 0;
  for (const Pin& pin : pinned_readings()) {
    const Terms terms = shipped(std::string(pin.file));
    bool free = false;
    for (const auto& rule : terms.rules) {
      if (rule.action != Action::train_generative || rule.object == Object::weights) continue;
      if (rule.effect == Effect::prohibit) {
        free = false;
        break;
      }
      free = true;
    }
    for (const auto& format : export_formats()) {
      const auto out = export_terms(terms, format);
      if (!out) {
        EXPECT_TRUE(says(out.error().message, "cannot say")) << out.error().text();
        continue;
      }
      ++said;
      const bool yes = says(out->text, "train-ai=y") ||
                       says(out->text, "<permits type=\"usage\">ai-train") ||
                       says(out->text, "\"tdm-reservation\": 0");
      EXPECT_TRUE(!yes || free) << pin.file << " as " << format;
      if (format == "odrl" || format == "tdmrep") {
        EXPECT_TRUE(json::parse(out->text, format).ok()) << pin.file;
      }
    }
  }
  EXPECT_GT(said, 80);
  EXPECT_FALSE(export_terms(shipped("own-work.toml"), "xml").ok());
}

}  // namespace
}  // namespace retort::terms
