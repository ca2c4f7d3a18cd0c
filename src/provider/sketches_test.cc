#include "provider/sketches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/random.h"

namespace retort::provider {
namespace {

using ::testing::HasSubstr;
constexpr int64_t kHourMs = 3'600'000;

// Words drawn anew for each number, as an answer has them.
std::string answer(uint64_t number, int words = 120) {
  base::Random random(number);
  std::string out;
  for (int i = 0; i < words; ++i) out += "word" + std::to_string(random.below(5000)) + " ";
  return out;
}

class SketchesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/sketches_" + std::to_string(::getpid()) + "_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_TRUE(base::remove_all(folder_).ok());
    ASSERT_TRUE(base::make_directories(folder_).ok());
    sketches_ = open();
  }
  void TearDown() override {
    sketches_.reset();
    (void)base::remove_all(folder_);
  }
  std::unique_ptr<Sketches> open() { return std::move(*Sketches::open(folder_, &clock_)); }
  void serve(const std::string& account, uint64_t number, const std::string& text) {
    sketches_->add({.time_ms = static_cast<int64_t>(number),
                    .request = "req_" + std::to_string(number),
                    .account = account,
                    .answer = text});
  }
  void serve(const std::string& account, uint64_t number) {
    serve(account, number, answer(number));
  }
  Result<std::vector<Matched>> match(const std::vector<std::string>& texts) {
    EXPECT_TRUE(sketches_->seal().ok());
    return match_sketches(folder_, [&](const std::function<void(std::string_view)>& use) {
      for (const auto& text : texts) use(text);
      return Result<void>();
    });
  }
  std::vector<std::string> segments() {
    std::vector<std::string> out;
    const auto names = *base::list_directory(base::join(folder_, "sketches"));
    for (const auto& name : names) {
      if (name.ends_with(".jsonl") && !name.starts_with("open-")) {
        out.push_back(base::join(base::join(folder_, "sketches"), name));
      }
    }
    return out;
  }

  base::ManualClock clock_;
  std::string folder_;
  std::unique_ptr<Sketches> sketches_;
};

TEST_F(SketchesTest, WhoseAnswersATextHoldsIsTold) {
  for (uint64_t i = 1; i <= 50; ++i) serve("acct_rival", i);
  for (uint64_t i = 51; i <= 100; ++i) serve("acct_other", i);
  std::vector<std::string> rows;
  for (uint64_t i = 11; i <= 40; ++i) {
    rows.push_back("{\"answer\":\"Sure! " + answer(i) + "\",\"n\":1}");
  }
  rows.push_back(answer(1000) + answer(60) + answer(1001));
  const auto matched = match(rows);
  ASSERT_TRUE(matched.ok()) << matched.error().text();
  ASSERT_EQ(matched->size(), 2U);
  const Matched& first = matched->front();
  EXPECT_EQ(first.account, "acct_rival");
  EXPECT_EQ(first.answers, 50);
  EXPECT_EQ(first.found, 30);
  EXPECT_EQ(first.found_alone, 30);
  EXPECT_EQ(first.first_ms, 11);
  EXPECT_EQ(first.last_ms, 40);
  EXPECT_EQ(first.requests.size(), kRequestsShown);
  EXPECT_EQ(first.requests.front(), "req_11");
  EXPECT_EQ(matched->back().found, 1);
}

TEST_F(SketchesTest, WritingAndSurroundingsDoNotHideAnAnswerAndHalfOfItIsEnough) {
  // Long enough for 32 hashes: by how many of them are in a part, whatever the secret, it is clear
  // on which side of a half it is.
  const std::string text = answer(7, 600);
  serve("acct_a", 7, text);
  std::string other = text;
  for (char& c : other) {
    if (c == ' ') c = '\n';
    if (c == 'w') c = 'W';
  }
  EXPECT_EQ((*match({"“" + other + "”"}))[0].found, 1);
  EXPECT_EQ((*match({text.substr(0, text.size() * 4 / 5)}))[0].found, 1);
  EXPECT_EQ((*match({text.substr(0, text.size() / 5)}))[0].found, 0);
  EXPECT_EQ((*match({answer(8)}))[0].found, 0);
}

TEST_F(SketchesTest, ShortAnswersProveNothingAndCommonOnesAreNobodys) {
  serve("acct_a", 1, "Yes, that is right.");
  serve("acct_a", 2, answer(5));
  serve("acct_b", 3, answer(5));
  const auto matched = match({"Yes, that is right.", answer(5)});
  ASSERT_TRUE(matched.ok());
  for (const auto& one : *matched) {
    EXPECT_EQ(one.answers, 1);
    EXPECT_EQ(one.found, 1);
    EXPECT_EQ(one.found_alone, 0) << "another account was given it too";
  }
}

TEST_F(SketchesTest, NoWordIsKeptAndTheSecretIsItsOwners) {
  serve("acct_a", 1, answer(5) + "unmistakable");
  ASSERT_TRUE(sketches_->seal().ok());
  ASSERT_EQ(segments().size(), 1U);
  EXPECT_THAT(*base::read_file(segments()[0]), ::testing::Not(HasSubstr("word")));
  struct stat info {};
  ASSERT_EQ(::stat(base::join(folder_, "sketches/secret").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  // Another secret, another set of hashes: nobody can look for a text without it.
  ASSERT_TRUE(
      base::write_file_atomic(base::join(folder_, "sketches/secret"), std::string(192, 'x')).ok());
  const auto matched = match({answer(5)});
  ASSERT_FALSE(matched.ok());
  EXPECT_THAT(matched.error().text(), HasSubstr("another secret"));
}

TEST_F(SketchesTest, WhatIsEditedOrGoneIsFound) {
  serve("acct_a", 1);
  ASSERT_TRUE(sketches_->seal().ok());
  const std::string file = segments()[0];
  const std::string content = *base::read_file(file);
  std::string edited = content;
  edited.replace(edited.find("acct_a"), 6, "acct_b");
  ASSERT_TRUE(base::write_file_atomic(file, edited).ok());
  EXPECT_FALSE(match({answer(1)}).ok());
  ASSERT_TRUE(base::remove_all(file).ok());
  EXPECT_FALSE(match({answer(1)}).ok());
  ASSERT_TRUE(base::write_file_atomic(file, content).ok());
  EXPECT_EQ((*match({answer(1)}))[0].found, 1);
}

TEST_F(SketchesTest, WhatIsTooOldGoesAndTheLogSaysSo) {
  serve("acct_a", 1);
  clock_.sleep_ms(kHourMs);
  ASSERT_TRUE(sketches_->work(2).ok());
  ASSERT_EQ(segments().size(), 1U) << "an hour seals";
  clock_.sleep_ms(48 * kHourMs);
  serve("acct_a", 2);
  ASSERT_TRUE(sketches_->seal().ok());
  clock_.sleep_ms(kHourMs);
  ASSERT_TRUE(sketches_->work(2).ok());
  EXPECT_EQ(segments().size(), 1U);
  const auto matched = match({answer(1), answer(2)});
  ASSERT_TRUE(matched.ok()) << matched.error().text();
  EXPECT_EQ((*matched)[0].answers, 1);
  EXPECT_EQ((*matched)[0].requests, std::vector<std::string>{"req_2"});
}

TEST_F(SketchesTest, AProcessThatWasKilledLosesNoAnswer) {
  serve("acct_a", 1);
  ASSERT_TRUE(sketches_->seal().ok());
  const std::string file = segments()[0];
  const std::string left = base::join(folder_, "sketches/open-99.jsonl");
  std::string line = *base::read_file(file);
  line.replace(line.find("req_1"), 5, "req_9");
  ASSERT_TRUE(base::write_file_atomic(left, line + "{\"time").ok());
  const auto second = open();
  EXPECT_FALSE(base::exists(left));
  EXPECT_EQ((*match({answer(1)}))[0].requests, (std::vector<std::string>{"req_1", "req_9"}));
}

}  // namespace
}  // namespace retort::provider
