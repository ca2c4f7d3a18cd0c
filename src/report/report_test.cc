#include "report/report.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/files.h"
#include "report/html_internal.h"
#include "report/numbers_internal.h"
#include "report/sections_internal.h"
#include "report/text_table.h"

namespace retort::report {
namespace {

namespace fs = std::filesystem;

// A copy of the stored run folder that a test may damage.
class ReportTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "retort_report_" + std::to_string(::getpid()) + "_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::copy(RETORT_SOURCE_DIR "/tests/golden/report/run", folder_, fs::copy_options::recursive);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& content) {
    ASSERT_TRUE(base::write_file_atomic(base::join(folder_, name), content).ok());
  }
  void replace(const std::string& name, const std::string& from, const std::string& to) {
    auto content = base::read_file(base::join(folder_, name));
    ASSERT_TRUE(content.ok());
    const size_t at = content->find(from);
    ASSERT_NE(at, std::string::npos) << from;
    write(name, content->replace(at, from.size(), to));
  }
  std::string html() {
    auto page = report_html(folder_);
    EXPECT_TRUE(page.ok()) << page.error().text();
    return page.ok() ? *page : "";
  }
  // The page without the compiled-in script and style.
  std::string own_markup() {
    const std::string page = html();
    const size_t body = page.find("<body>"), scripts = page.find("<script>\n");
    return page.substr(body, scripts - body);
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  std::string folder_;
};

TEST_F(ReportTest, TheHeadlineAnswersWhatFromWhomBetterAndShort) {
  const std::string page = own_markup();
  EXPECT_TRUE(has(page,
                  "stories-7m learnt from 5,412 answers of SmolLM2-135M-Instruct under "
                  "smollm2.apache 2024-11-01"));
  EXPECT_TRUE(has(page, "It is better than a 5-gram"));
  EXPECT_TRUE(has(page, "0.871 bits per byte"));
  EXPECT_TRUE(has(page, "It falls short of the teacher: 88.1 %"));
}

TEST_F(ReportTest, TheHeadlineNeverClaimsMoreThanTheIntervalsSay) {
  replace("evaluate/results.json", "\"high\": -0.209", "\"high\": 0.001");
  EXPECT_TRUE(has(own_markup(), "It is not measurably better than a 5-gram"));
  replace("evaluate/results.json", "\"high\": 0.001", "\"high\": -0.209");
  replace("evaluate/results.json", "\"value\": 0.871", "\"value\": 1.371");
  EXPECT_TRUE(has(own_markup(), "It is worse than a 5-gram"));
  replace("evaluate/results.json", "\"high\": 0.917", "\"high\": 0.95");
  EXPECT_TRUE(has(own_markup(), "cannot be told from the teacher"));
  replace("summary/permission.json", "\"verdict\": \"permit\",\n \"checks\"",
          "\"verdict\": \"deny\",\n \"checks\"");
  EXPECT_TRUE(has(own_markup(), "The terms do not allow stories-7m to learn"));
}

TEST_F(ReportTest, ARunOfOwnTextsSpeaksOfNoTeacher) {
  replace("run.toml", "[teacher]", "[collect]\nimport = \"own.jsonl\"\n[teacher]");
  EXPECT_TRUE(has(own_markup(), "stories-7m learnt from 5,412 own texts under"));
  EXPECT_FALSE(has(own_markup(), "eacher's"));
}

TEST_F(ReportTest, EveryPartIsThere) {
  const std::string page = own_markup();
  for (const char* part : {"smollm2.apache",
                           "A. Reader, owner of the run",
                           "royalty-free",
                           "own-work",
                           "optimizer",
                           "6002",
                           "near duplicate",
                           "−158, leaves 5,689",
                           "More than 80 %",
                           "450 steps",
                           "Bits per byte",
                           "repeated trigrams",
                           "The little ",
                           "<mark>boat</mark>",
                           "312,044 answer tokens",
                           "nothing paid",
                           "stop 5,921",
                           "5 min 11 s",
                           "1.94 GB in use",
                           "not measured on this machine",
                           "retort run examples/quickstart.toml",
                           "581c003",
                           "model_id = &quot;stories-7m&quot;",
                           "2026-09-21",
                           "stories.example/ledger",
                           "retort ledger verify",
                           "/student --key signing-key.pem.pub"}) {
    EXPECT_TRUE(has(page, part)) << part;
  }
  EXPECT_TRUE(has(html(), "{\"x\":450,\"y\":"));
}

TEST_F(ReportTest, NothingInThePageIsLoadedFromElsewhere) {
  const std::string page = html();
  EXPECT_TRUE(has(page, "Chart.js v3"));
  for (const char* outside : {"http://", "https://", "src=", "@import", "url(", "<link"}) {
    EXPECT_FALSE(has(page, outside)) << outside;
  }
  EXPECT_TRUE(has(page, "default-src 'none'"));
}

TEST_F(ReportTest, HostileTextStaysText) {
  const std::string hostile =
      "</script><script>alert('x')</script><img src=x onerror=\\\"y\\\">"
      "\\u0000\\u001b[2J\\u202e&amp;";
  replace("curated/funnel.json", "near duplicate", hostile);
  replace("summary/permission.json", "stories-7m", hostile);
  replace("summary/permission.json", "smollm2.apache", hostile);
  replace("summary/machine.json", "retort run", hostile);
  replace("summary/collect.json", "finish.stop", "finish." + hostile);
  replace("evaluate/results.json", "distinct_words", hostile);
  replace("evaluate/samples.jsonl", "The little boat", hostile);
  replace("evaluate/samples.jsonl", "\"boat\"", "\"<b\"");
  replace("run.toml", "[train]", "# " + hostile + "\n[train]");
  const std::string page = html();
  EXPECT_FALSE(has(page, "<script>alert"));
  EXPECT_FALSE(has(page, "<img"));
  EXPECT_FALSE(has(page, "onerror=\""));
  EXPECT_FALSE(has(page, "\x1b"));
  EXPECT_FALSE(has(page, "\xE2\x80\xAE"));
  EXPECT_TRUE(has(page, "&lt;/script&gt;&lt;script&gt;alert(&#39;x&#39;)"));
  EXPECT_TRUE(has(page, "&amp;amp;"));
  const auto summary = summary_text(folder_);
  ASSERT_TRUE(summary.ok());
  EXPECT_FALSE(has(*summary, "\x1b"));
}

TEST_F(ReportTest, AnEmptyFolderGivesAPageThatSaysWhatIsMissing) {
  fs::remove_all(folder_);
  EXPECT_EQ(report_html(folder_).error().code, ErrorCode::not_found);
  fs::create_directories(folder_);
  const std::string page = own_markup();
  for (const char* sentence :
       {"No clearance has been made yet", "have not been curated yet", "Training has not run yet",
        "has not been evaluated yet", "no samples yet", "No stage has finished yet",
        "The command was not recorded"}) {
    EXPECT_TRUE(has(page, sentence)) << sentence;
  }
  ASSERT_TRUE(write_report(folder_).ok());
  EXPECT_TRUE(base::exists(folder_ + "/report.html"));
}

TEST_F(ReportTest, DamagedFilesAreNamed) {
  const char* files[] = {"summary/collect.json",  "summary/permission.json", "curated/funnel.json",
                         "evaluate/results.json", "summary/machine.json",    "run.toml",
                         "train/metrics.jsonl",   "evaluate/samples.jsonl"};
  for (const char* file : files) {
    const auto before = base::read_file(base::join(folder_, file));
    ASSERT_TRUE(before.ok());
    write(file, "{\"step\": \n" + *before);
    const auto page = report_html(folder_);
    ASSERT_FALSE(page.ok()) << file;
    EXPECT_EQ(page.error().code, ErrorCode::bad_input) << file;
    EXPECT_TRUE(has(page.error().text(), file)) << page.error().text();
    write(file, *before);
  }
  replace("summary/train.json", "\"counts\": {", "\"counts\": 3, \"other\": {");
  EXPECT_TRUE(has(report_html(folder_).error().text(), "summary/train.json"));
}

TEST_F(ReportTest, FilesOfANewerProgramAreRefused) {
  replace("summary/train.json", "retort.summary/1", "retort.summary/2");
  const auto page = report_html(folder_);
  ASSERT_FALSE(page.ok());
  EXPECT_TRUE(has(page.error().text(), "retort.summary/2"));
  EXPECT_TRUE(has(page.error().text(), "newer"));
}

TEST_F(ReportTest, ALastLineThatWasCutWhileTrainingIsNoDamage) {
  auto metrics = base::read_file(folder_ + "/train/metrics.jsonl");
  ASSERT_TRUE(metrics.ok());
  write("train/metrics.jsonl", *metrics + "{\"step\": 455, \"lo");
  EXPECT_TRUE(report_html(folder_).ok());
}

TEST_F(ReportTest, LongAndOddCurvesStaySmallAndTrue) {
  std::string lines;
  for (int step = 1; step <= 10'000; ++step) {
    lines += "{\"step\":" + std::to_string(step) + ",\"loss\":2.0}\n";
  }
  write("train/metrics.jsonl", lines + "{\"step\":1,\"loss\":3.0}\n{\"step\":\"x\",\"loss\":9}\n");
  const auto run = read_run(folder_);
  ASSERT_TRUE(run.ok());
  const json::Value curves = curve_data(*run);
  const auto& loss = items(curves, "loss");
  ASSERT_LE(loss.size(), kCurvePoints);
  ASSERT_GE(loss.size(), kCurvePoints / 2);
  EXPECT_DOUBLE_EQ(*number(loss[1], "y"), 2.0);
  EXPECT_DOUBLE_EQ(*number(loss[0], "y"), 2.0 + 1.0 / 13);
}

TEST_F(ReportTest, TheTerminalSummaryIsAligned) {
  const auto summary = summary_text(folder_);
  ASSERT_TRUE(summary.ok()) << summary.error().text();
  EXPECT_TRUE(has(*summary, "near duplicate   5,847      158  5,689\n")) << *summary;
  EXPECT_TRUE(has(*summary, "bits per byte, student         0.871  0.852 to 0.891\n")) << *summary;
  EXPECT_TRUE(has(*summary, "collect    5 min 11 s"));
}

TEST_F(ReportTest, RunsAreComparedInColumns) {
  const std::string other = folder_ + "_b";
  fs::copy(folder_, other, fs::copy_options::recursive);
  fs::remove(other + "/evaluate/results.json");
  const auto table = compare_text({folder_, other});
  const auto reversed = compare_text({other, folder_});
  fs::remove_all(other);
  ASSERT_TRUE(reversed.ok());
  const size_t late = reversed->find("bits per byte");
  const std::string late_line = reversed->substr(late, reversed->find('\n', late) - late);
  EXPECT_TRUE(has(late_line, "–  ") && late_line.ends_with("0.871")) << late_line;
  ASSERT_TRUE(table.ok());
  const size_t row = table->find("bits per byte");
  ASSERT_NE(row, std::string::npos);
  const std::string line = table->substr(row, table->find('\n', row) - row);
  EXPECT_TRUE(has(line, "0.871") && line.ends_with("–")) << line;
}

TEST(TextTableTest, CountsCharactersAndStopsControlBytes) {
  const std::string table = format_table({.header = {"a", "n"},
                                          .rows = {{"é\x1b[31m", "1"}, {"long text here", "10"}},
                                          .right = {false, true},
                                          .widest_cell = 8});
  EXPECT_EQ(table, "a          n\né\xEF\xBF\xBD[31m     1\nlong te…  10\n");
}

TEST(HtmlTest, InvalidUtf8NeverGetsThrough) {
  EXPECT_EQ(escape("a\xff\xc0\xafz"), "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz");
  EXPECT_EQ(escape("\xed\xa0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(escape("é😀\xe2\x82"), "é😀\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(script_json(json::Value("</script>&")).text, "\"\\u003c/script\\u003e\\u0026\"");
}

TEST(NumbersTest, ReadAsPeopleWriteThem) {
  EXPECT_EQ(count_text(1234567), "1,234,567");
  EXPECT_EQ(count_text(-999), "−999");
  EXPECT_EQ(percent_text(0.8811), "88.1 %");
  EXPECT_EQ(money_text(420000), "$0.42");
  EXPECT_EQ(money_text(1200), "$0.0012");
  EXPECT_EQ(bytes_text(1.94e9), "1.94 GB");
}

}  // namespace
}  // namespace retort::report
