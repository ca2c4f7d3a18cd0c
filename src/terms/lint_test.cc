#include "terms/lint.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/files.h"

namespace retort::terms {
namespace {

// Nothing is doubtful about it. The lines count from 1.
const char* kClean = R"(schema = "retort.terms/1"
series = "a"
version = "1"
assigner = "A"
[applies]
endpoints = ["https://host.example/*"]
[time]
effective = 2026-01-01
observed = 2026-01-02
[source]
url = "https://host.example/terms"
retrieved = 2026-01-03
doc_sha256 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
basis = "express"
[[rule]]
effect = "permit"
action = "store"
object = "outputs"
[[rule]]
effect = "prohibit"
action = "train.generative"
object = "outputs"
clause = "2"
[review]
reader = "R"
on = 2026-01-04
)";

std::string with(const std::string& from, const std::string& to) {
  std::string text = kClean;
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string remarks(const std::vector<LintInput>& files) {
  std::string out;
  for (const auto& remark : lint(files)) out += remark.sentence() + "\n";
  return out;
}
std::string remarks(const std::string& text) {
  return remarks({{"a.toml", text}});
}

void expect_remark(const std::string& text, const std::string& begins, const std::string& part) {
  const std::string all = remarks(text);
  EXPECT_EQ(all.find(begins), 0U) << all << "\nwants " << begins;
  EXPECT_NE(all.find(part), std::string::npos) << all << "\nwants " << part;
}

TEST(LintTest, SaysNothingOfACleanFile) {
  EXPECT_EQ(remarks(kClean), "");
}

TEST(LintTest, WhatTheParserRefusesHasItsLine) {
  expect_remark(with("version", "verzion"), "a.toml:3: error: ", "did you mean “version”");
  expect_remark(with("effective", "effektive"), "a.toml:8: error: ", "effektive");
  expect_remark(with("\"prohibit\"", "\"forbid\""), "a.toml:20: error: ", "forbid");
  expect_remark(with("clause = \"2\"", "klause = \"2\""), "a.toml:23: error: ", "klause");
  expect_remark(with("2026-01-01", "\"2026-02-30\""), "a.toml:8: error: ", "2026-02-30");
  expect_remark(with("assigner = \"A\"", "assigner = A"), "a.toml:4: error: ", "");
  expect_remark(with("observed = 2026-01-02", "until = 2025-01-01"),
                "a.toml:9: error: ", "end before they begin");
  expect_remark(with("assigner = \"A\"\n", ""), "a.toml: error: ", "assigner");
}

TEST(LintTest, NobodyReadItOrSomebodyElseDid) {
  expect_remark(with("reader = \"R\"\n", ""), "a.toml:24: error: ", "permits nothing");
  expect_remark(with("\"R\"", "\"retort maintainers\""),
                "a.toml:25: error: ", "maintainers did not read this");
  expect_remark(with("on = 2026-01-04\n", ""), "a.toml:24: warning: ", "on which day");
}

TEST(LintTest, AnEditedShippedReadingIsFound) {
  const std::string path = std::string(RETORT_SOURCE_DIR) + "/terms/llama-2.toml";
  const std::string shipped = *base::read_file(path, 1 << 20);
  EXPECT_EQ(remarks(shipped), "");
  std::string edited = shipped;
  const size_t at = edited.find("\"prohibit\"");
  ASSERT_NE(at, std::string::npos);
  edited.replace(at, 10, "\"permit\"");
  edited.erase(edited.find("unless = "),
               edited.find('\n', edited.find("unless = ")) + 1 - edited.find("unless = "));
  EXPECT_NE(remarks(edited).find("edited copy of a shipped reading"), std::string::npos)
      << remarks(edited);
  const size_t reader = edited.find("retort maintainers");
  edited.replace(reader, 18, "somebody");
  EXPECT_NE(remarks(edited).find("warning: meta.llama-2 is a shipped series"), std::string::npos)
      << remarks(edited);
}

TEST(LintTest, DaysInTheWrongOrder) {
  expect_remark(with("retrieved = 2026-01-03", "retrieved = 2026-01-01"), "a.toml:12: error: ",
                "retrieved before anybody observed it (2026-01-01, 2026-01-02)");
  expect_remark(with("on = 2026-01-04", "on = 2026-01-02"),
                "a.toml:26: error: ", "read before it was retrieved");
  expect_remark(with("observed = 2026-01-02", "observed = 2026-01-03\nuntil = 2026-01-02"),
                "a.toml:10: error: ", "observed after it had ended");
}

TEST(LintTest, TheSourceIsToBeFoundAgain) {
  expect_remark(with("doc_sha256 = \"cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523"
                     "d30\"\n",
                     ""),
                "a.toml:10: warning: ", "its hash is missing");
  expect_remark(with("basis = \"express\"", "basis = \"express\"\narchive = \"o/r@1:p\""),
                "a.toml:10: warning: ", "hash of the clause");
  expect_remark(with("\"express\"", "\"silent\""), "a.toml:14: warning: ", "permits nothing");
  expect_remark(with("basis", "capture = \"error-page\"\nbasis"),
                "a.toml:14: error: ", "error page");
  expect_remark(with("basis", "capture = \"secondary\"\nbasis"),
                "a.toml:14: error: ", "what others say");
}

TEST(LintTest, PatternsThatCatchMoreOrLessThanWasMeant) {
  expect_remark(with("host.example/*", "host.example*"), "a.toml:6: warning: ", "other hosts");
  expect_remark(with("https://host.example/*", "host.example"), "a.toml:6: warning: ", "scheme");
  expect_remark(with("endpoints = [\"https://host.example/*\"]\n", ""),
                "a.toml:5: warning: ", "every model at every door");
  expect_remark(with("[time]", "features_excluded = [\"websearch\"]\n[time]"),
                "a.toml:7: error: no door has “websearch”", "web_search");
  expect_remark(with("[time]", "modality = [\"pictures\"]\n[time]"),
                "a.toml:7: error: ", "pictures");
}

TEST(LintTest, RulesThatNeverCount) {
  expect_remark(with("\"store\"", "\"train.generative\""),
                "a.toml:15: warning: ", "never counts: [[rule]] 2 forbids it everywhere");
  expect_remark(with("[review]",
                     "[[rule]]\neffect = \"prohibit\"\naction = \"train.generative\"\n"
                     "object = \"outputs\"\nscope = \"competing\"\ntext = \"t\"\n"
                     "[review]"),
                "a.toml:24: warning: ", "adds nothing: [[rule]] 2");
  expect_remark(with("clause = \"2\"", "scope = \"commercial\"\nunless = \"x\"\nclause = \"2\""),
                "a.toml:24: warning: ", "not looked at");
  expect_remark(with("clause = \"2\"\n", ""), "a.toml:19: warning: ", "without a clause");
  expect_remark(with("[review]", "[duty]\nnotice = \"n\"\nobject = \"weights\"\n[review]"),
                "a.toml:26: warning: ", "a duty for weights");
  // The same with a condition is another rule.
  EXPECT_EQ(remarks(with("clause = \"2\"", "scope = \"competing\"\nclause = \"2\"")), "");
}

TEST(LintTest, VersionsOfOneSeries) {
  const std::string later = with("2026-01-01", "2026-03-01");
  EXPECT_EQ(remarks({{"a.toml", kClean}, {"b.toml", later}}), "");
  const std::string ended = with("observed", "until = 2026-02-01\nobserved");
  EXPECT_EQ(remarks({{"b.toml", later}, {"a.toml", ended}}),
            "b.toml:8: warning: from 2026-02-01 to this day no version of a binds: what was "
            "captured then is denied\n");
  EXPECT_NE(remarks({{"a.toml", kClean}, {"b.toml", with("\"1\"", "\"2\"")}}).find("same day"),
            std::string::npos);
  EXPECT_NE(remarks({{"a.toml", kClean}, {"b.toml", kClean}}).find("says what a.toml says"),
            std::string::npos);
}

TEST(LintTest, OddTextsEnd) {
  for (const char* text : {"", "[", "[[", "=", "[]\n=\n", "\"", "[[rule]]", "schema = [",
                           "a.toml: [time] x = \xe2\x80"}) {
    EXPECT_FALSE(lint({{"a.toml", text}}).empty()) << text;
  }
}

// Of the readings of real doors nothing is doubtful but days of which no text is known, which their
// notes tell; of the others nothing is wrong.
TEST(LintTest, ShippedReadingsAreClean) {
  std::vector<LintInput> files;
  for (const Pin& pin : pinned_readings()) {
    const std::string path = std::string(RETORT_SOURCE_DIR) + "/terms/" + std::string(pin.file);
    files.push_back({std::string(pin.file), *base::read_file(path, 1 << 20)});
  }
  int gaps = 0;
  for (const auto& remark : lint(files)) {
    const bool gap = remark.message.find("no version of") != std::string::npos;
    gaps += gap ? 1 : 0;
    const auto file = std::find_if(files.begin(), files.end(), [&remark](const LintInput& one) {
      return one.path == remark.file;
    });
    const bool real = file->text.find("archive = ") != std::string::npos;
    EXPECT_TRUE(gap || (!real && remark.severity == Severity::warning)) << remark.sentence();
  }
  EXPECT_EQ(gaps, 3) << "OpenAI to May 2025, xAI in April 2026, Mistral in 2025";
}

}  // namespace
}  // namespace retort::terms
