#include "terms/terms.h"

#include <gtest/gtest.h>

#include "base/files.h"

namespace retort::terms {
namespace {

const char* kPlain = R"(schema = "retort.terms/1"
series = "a"
version = "1"
assigner = "A"
[time]
effective = 2026-01-01
[source]
basis = "express"
[[rule]]
effect = "permit"
action = "store"
[review]
reader = "R"
)";

std::string with(const std::string& from, const std::string& to) {
  std::string text = kPlain;
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string refusal(const std::string& text) {
  const auto parsed = parse_terms(text, "a.toml");
  return parsed.ok() ? "accepted" : parsed.error().text();
}

TEST(TermsTest, ReadsEveryField) {
  const auto parsed = parse_terms(R"(schema = "retort.terms/1"
series = "xai.enterprise"
version = "2026-08-14"
assigner = "SpaceXAI LLC"
[applies]
endpoints = ["https://api.x.ai/*"]
plans = ["enterprise"]
models = ["grok-*"]
modality = ["text"]
features_excluded = ["web_search"]
[time]
effective = 2026-08-14
observed = 2026-08-15
until = "2027-01-01"
retroactive = "yes"
notice_days = 30
[source]
url = "u"
retrieved = 2026-08-14
doc_sha256 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
clause_sha256 = ""
normalise = "clause/1"
archive = "EU@f136aa7"
basis = "derivative"
[[rule]]
effect = "prohibit"
action = "train.generative"
object = "outputs"
scope = "competing"
unless = "written-order-form"
clause = "2.b"
text = "words"
[duty]
name_prefix = "Llama"
display = ["Built with Llama"]
licence_copy = "l"
notice = "n"
use_policy = "p"
mau_limit = 700000000
derivative = true
object = "weights"
[revocation]
mode = "on-breach"
[review]
reader = "R"
role = "counsel"
on = 2026-08-20
sig = ""
silence = "permit"
)",
                                  "x.toml");
  ASSERT_TRUE(parsed.ok()) << parsed.error().text();
  EXPECT_EQ(parsed->id.size(), 64u);
  EXPECT_EQ(parsed->applies.models, std::vector<std::string>{"grok-*"});
  EXPECT_EQ(parsed->effective_ms, 1786665600000);
  EXPECT_EQ(parsed->until, "2027-01-01");
  EXPECT_EQ(parsed->retroactive, Retroactive::yes);
  EXPECT_EQ(parsed->basis, Basis::derivative);
  ASSERT_EQ(parsed->rules.size(), 1u);
  EXPECT_EQ(parsed->rules[0].scope, Scope::competing);
  EXPECT_EQ(parsed->rules[0].unless, "written-order-form");
  ASSERT_EQ(parsed->duties.size(), 1u);
  EXPECT_EQ(parsed->duties[0].name_prefix, "Llama");
  EXPECT_EQ(parsed->duties[0].mau_limit, 700'000'000);
  EXPECT_EQ(parsed->duties[0].object, Object::weights);
  EXPECT_TRUE(parsed->silence_permits);
  EXPECT_FALSE(parsed->pinned);
}

TEST(TermsTest, IdDoesNotDependOnLayoutButOnEveryWord) {
  const std::string id = parse_terms(kPlain, "a")->id;
  EXPECT_EQ(parse_terms("# a comment\n" + with("version = \"1\"\nassigner = \"A\"",
                                               "assigner   = \"A\"\nversion = '1'"),
                        "b")
                ->id,
            id);
  EXPECT_NE(parse_terms(with("reader = \"R\"", "reader = \"S\""), "a")->id, id);
}

TEST(TermsTest, RefusesWhatItDoesNotKnowByName) {
  EXPECT_EQ(refusal(kPlain), "accepted");
  const auto contains = [](const std::string& text, const std::string& part) {
    EXPECT_NE(refusal(text).find(part), std::string::npos) << refusal(text) << "\nwants " << part;
  };
  contains(with("version", "verzion"), "“verzion”; did you mean “version”");
  contains(with("action = \"store\"", "action = \"train.everything\""), "train.everything");
  contains(with("effect = \"permit\"", "effect = \"allow\""), "allow");
  contains(with("action = \"store\"", "action = \"store\"\nobjekt = \"any\""), "objekt");
  contains(with("effective =", "effektive ="), "effektive");
  contains(with("retort.terms/1", "retort.terms/2"), "schema");
  contains(with("assigner = \"A\"\n", ""), "assigner");
  contains(with("effective = 2026-01-01", ""), "neither effective nor observed");
  contains(with("2026-01-01", "\"2026-02-30\""), "2026-02-30");
  contains(with("effective = 2026-01-01", "effective = 2026-01-01\nuntil = 2026-01-01"), "until");
  contains(with("basis = \"express\"\n", ""), "basis");
  contains(with("reader = \"R\"", "reader = \"R\"\nsig = \"../abc\""), "same folder");
  contains(with("basis = \"express\"", "basis = \"express\"\ncapture = \"screen\""), "screen");
  contains(with("[[rule]]", "[rule]"), "[[rule]]");
  contains(with("effect = \"permit\"", "effect = \"permit\"\nunless = \"x\""), "unless");
  contains("schema = [", "a.toml:1");
  contains(std::string(60'000, '#'), "48 KiB");
  EXPECT_NE(refusal(with("effective =", "effektive =")).find("a.toml: [time]"), std::string::npos);
}

std::string line_of(const Pin& pin) {
  std::string out = "{\"" + std::string(pin.file) + "\", \"" + std::string(pin.id) + "\", \"" +
                    std::string(pin.series) + "\"";
  if (!pin.endpoints.empty() || !pin.models.empty()) {
    for (const auto part : {pin.endpoints, pin.plans, pin.models}) {
      out += ", \"" + std::string(part) + "\"";
    }
  }
  return out + "},";
}

TEST(TermsTest, ShippedReadingsAreThePinnedOnes) {
  const std::string folder = std::string(RETORT_SOURCE_DIR) + "/terms";
  auto names = *base::list_directory(folder);
  std::erase(names, "LICENSES");  // texts that readings ask for, no readings
  std::string shipped;
  for (const auto& name : names) {
    const auto terms = load_terms(base::join(folder, name));
    ASSERT_TRUE(terms.ok()) << terms.error().text();
    EXPECT_EQ(terms->reader, kMaintainers) << name;
    shipped += pin_line(name, *terms) + "\n";
  }
  std::string pinned;
  for (const Pin& pin : pinned_readings()) pinned += line_of(pin) + "\n";
  EXPECT_EQ(shipped, pinned) << "a shipped reading was changed; if that was meant, the first of "
                                "the two belongs into pins.cc";
}

}  // namespace
}  // namespace retort::terms
