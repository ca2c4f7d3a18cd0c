#include "provider/course_internal.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/files.h"
#include "base/random.h"
#include "detect/detector.h"
#include "provider/watch_internal.h"
#include "provider/watching.h"

namespace retort::provider {
namespace {

class CourseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/course_" + std::to_string(::getpid()) + "_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_TRUE(base::remove_all(folder_).ok());
    ASSERT_TRUE(base::make_directories(folder_).ok());
    database_ = std::move(*store::Database::open(base::join(folder_, "course.db")));
    ASSERT_TRUE(Course::make_tables(*database_).ok());
  }
  void TearDown() override {
    database_.reset();
    (void)base::remove_all(folder_);
  }
  std::string folder_;
  std::unique_ptr<store::Database> database_;
};

TEST_F(CourseTest, KeepsWhatIsNewsAndLeavesTheRestOut) {
  Course course(*database_);
  ASSERT_TRUE(course.note("a", {1000, 100, 90, 80, 1.0}).ok());
  ASSERT_TRUE(course.note("a", {1001, 101, 91, 81, 1.0}).ok());
  EXPECT_EQ(course.of("a")->size(), 1U) << "one request more is no news";
  ASSERT_TRUE(course.note("a", {1002, 102, 92, 82, 25.0}).ok());
  EXPECT_EQ(course.of("a")->size(), 2U) << "stronger evidence is";
  ASSERT_TRUE(course.note("a", {1003, 200, 180, 90, 25.0}).ok());
  EXPECT_EQ(course.of("a")->size(), 3U) << "and so are many more requests";
  ASSERT_TRUE(course.note("a", {1004, 7, 7, 7, 12.5}).ok());
  EXPECT_EQ(course.of("a")->size(), 4U) << "and a period that begins anew";
  EXPECT_EQ(course.of("b")->size(), 0U);
  EXPECT_DOUBLE_EQ(course.of("a")->back().e_value, 12.5);
  Course later(*database_);
  ASSERT_TRUE(later.note("a", {1005, 7, 7, 7, 12.5}).ok());
  EXPECT_EQ(later.of("a")->size(), 4U) << "another process goes on where it stood";
}

TEST_F(CourseTest, WhatIsNotLaterOrNotMoreIsNoNews) {
  Course course(*database_);
  ASSERT_TRUE(course.note("a", {5000, 100, 90, 80, 1.0}).ok());
  ASSERT_TRUE(course.note("a", {5000, 300, 90, 80, 9.0}).ok());
  ASSERT_TRUE(course.note("a", {4000, 300, 90, 80, 9.0}).ok());
  ASSERT_TRUE(course.note("a", {5000 + 2 * 3'600'000, 100, 90, 80, 1.0}).ok());
  EXPECT_EQ(course.of("a")->size(), 1U);
  ASSERT_TRUE(course.note("b", {6000, 7, 7, 7, 1.0}).ok());
  EXPECT_EQ(course.of("b")->size(), 1U) << "each account has its own";
  EXPECT_EQ(course.of("a")->size(), 1U);
}

TEST(CoursePointTest, IsTheSumOfAllStreams) {
  detect::AccountState state;
  auto& first = state.streams[0];
  auto& second = state.streams[1];
  first.count = 5;
  first.last_ms = 2000;
  EXPECT_FALSE(course_point(state, nullptr)) << "nothing is judged yet";
  second.count = 40;
  second.last_ms = 1000;
  for (uint64_t i = 0; i < 200; ++i) first.prompts.add(base::mix64(i + 1));
  for (uint64_t i = 0; i < 10; ++i) second.topics.add(base::mix64(i + 1));
  const auto point = *course_point(state, nullptr);
  EXPECT_EQ(point.requests, 45);
  EXPECT_EQ(point.time_ms, 2000) << "the latest";
  EXPECT_EQ(point.prompts, 45) << "no more different ones than there are";
  EXPECT_NEAR(static_cast<double>(point.topics), 10, 3);
  EXPECT_EQ(point.e_value, 0) << "nobody to compare with";
  const detect::ClassCalibration honest;
  state.evidence_past = 3;
  state.period = 2;
  const double fresh = detect::e_value(honest, state.wealth.total);
  EXPECT_DOUBLE_EQ(course_point(state, &honest)->e_value,
                   3 + detect::period_weight(state.period) * fresh);
}

TEST_F(CourseTest, StaysSmallHoweverLongItIs) {
  Course course(*database_);
  for (int i = 0; i < 3000; ++i) {
    ASSERT_TRUE(course.note("a", {1000 + i * 3'600'000LL, 100 + i, 90, 80, 1.0}).ok());
  }
  const auto points = *course.of("a");
  EXPECT_LE(std::ssize(points), kCoursePointsMax);
  EXPECT_GT(std::ssize(points), kCoursePointsMax / 3);
  EXPECT_EQ(points.front().requests, 100) << "the first";
  EXPECT_EQ(points.back().requests, 3099) << "and the last";
}

TEST_F(CourseTest, DetectionIsShownAsItStands) {
  policy::Policy policy;
  policy.clause.id = "1";
  auto watch = std::move(*Watch::open(folder_));
  watch->bind(std::make_shared<const policy::Policy>(policy));
  auto watching = std::move(*Watching::open(folder_));
  EXPECT_TRUE(watching->account("a", "")->is_null());
  const auto ask = [&](int i) {
    Watched seen;
    seen.account = "a";
    seen.seen.turns = {{detect::Speaker::user, "Write a short and gentle story about the object " +
                                                   std::string(1, static_cast<char>('a' + i % 26)) +
                                                   std::to_string(i * 7919)}};
    seen.asked_ms = 1'800'000'000'000 + i * 60'000;
    seen.output_tokens = 100;
    watch->see(seen);
  };
  for (int i = 0; i < 60; ++i) ask(i);
  ASSERT_TRUE(watch->save().ok());
  const auto shown = *watching->account("a", "");
  EXPECT_EQ(*shown.int_at("requests"), 60);
  int64_t counted = 0;
  bool has_template = false;
  for (const auto& stream : shown.find("streams")->as_array()) {
    counted += *stream.int_at("requests");
    if (*stream.string_at("kind") != "template") continue;
    has_template = true;
    EXPECT_GE(*stream.number_at("fixed_words"), 7) << "Write ... object";
    EXPECT_LE(*stream.number_at("slot_words"), 2);
    EXPECT_EQ(stream.find("measures")->as_array().size(), 30U);
  }
  EXPECT_TRUE(has_template);
  EXPECT_EQ(counted, 60);
  const auto& course = shown.find("course")->as_array();
  ASSERT_FALSE(course.empty());
  EXPECT_EQ(*course.back().int_at("requests"), 60);
  EXPECT_GT(*course.back().number_at("e_value"), 0);
  EXPECT_EQ(shown.find("streams")->as_array()[0].find("hours")->as_array().size(), 24U);
  watch->forget("a");
  ASSERT_TRUE(watch->save().ok());
  const auto after = *watching->account("a", "");
  EXPECT_EQ(after.find("streams"), nullptr) << "what was seen counts no more";
  EXPECT_FALSE(after.find("course")->as_array().empty()) << "what it came to is still told";
}

}  // namespace
}  // namespace retort::provider
