#include "provider/calibrating.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

#include "base/files.h"
#include "provider/watch_internal.h"
#include "provider/watching.h"

namespace retort::provider {
namespace {

constexpr int64_t kStart_ms = 1'760'000'000'000;

// Accounts that ask about this and that, day after day.
class CalibratingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/calibrating_" + std::to_string(::getpid()) + "_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_TRUE(base::remove_all(folder_).ok());
    ASSERT_TRUE(base::make_directories(folder_).ok());
    policy_ = std::make_shared<const policy::Policy>(policy::Policy{});
    watch_ = open();
  }
  void TearDown() override { (void)base::remove_all(folder_); }

  std::unique_ptr<Watch> open() {
    auto watch = std::move(*Watch::open(folder_));
    watch->bind(policy_);
    return watch;
  }
  void ask(const std::string& account, int64_t day, const std::string& purpose = "support") {
    Watched one;
    one.seen.request = "req";
    one.seen.turns.emplace_back(detect::Speaker::user,
                                "What of " + account + " on day " + std::to_string(day) + "?");
    one.account = account;
    one.purpose = purpose;
    one.asked_ms = kStart_ms + day * 86'400'000;
    one.input_tokens = one.output_tokens = 20;
    watch_->see(one);
  }
  Result<OwnCalibration> calibrate(bool alone = false) const {
    return provider::calibrate(
        folder_, [this](std::string_view id) { return !dishonest_.contains(id); }, alone);
  }

  std::string folder_;
  std::shared_ptr<const policy::Policy> policy_;
  std::unique_ptr<Watch> watch_;
  std::set<std::string, std::less<>> dishonest_;
};

TEST_F(CalibratingTest, WholePeriodsOfHonestAccountsCount) {
  EXPECT_EQ(calibrate().error().code, ErrorCode::not_found) << "nobody was seen";
  for (int64_t day = 0; day < 29; ++day) {
    for (const char* account : {"acct_a", "acct_b", "acct_c"}) ask(account, day);
  }
  ASSERT_TRUE(watch_->save().ok());
  EXPECT_EQ(calibrate().error().code, ErrorCode::not_found) << "no period has ended";
  ask("acct_a", 31);
  ask("acct_b", 95);  // its first has ended, and two without a request
  ask("acct_c", 29);
  ASSERT_TRUE(watch_->save().ok());
  const auto own = calibrate();
  ASSERT_TRUE(own.ok()) << own.error().text();
  EXPECT_EQ(own->own_periods.at(""), 2);
  EXPECT_EQ(own->own_periods.at("support"), 2);
  const auto& before = detect::built_in_calibration().classes;
  EXPECT_EQ(own->calibration.classes.at("support").periods, before.at("support").periods + 2);
  EXPECT_EQ(own->calibration.classes.at("chat").periods, before.at("chat").periods);

  dishonest_ = {"acct_b"};
  EXPECT_EQ(calibrate()->own_periods.at(""), 1);
  EXPECT_EQ(calibrate()->left_out, 1);
  const auto alone = *calibrate(/*alone=*/true);
  EXPECT_EQ(alone.calibration.classes.at("support").periods, 1);
  EXPECT_FALSE(alone.calibration.classes.contains("chat"));
  EXPECT_EQ(alone.calibration.classes.at("cluster:template").periods,
            before.at("cluster:template").periods);
}

TEST_F(CalibratingTest, APeriodIsKeptOnceThroughRestarts) {
  for (int64_t day = 0; day < 20; ++day) ask("acct_a", day);
  ASSERT_TRUE(watch_->save().ok());
  watch_ = open();
  ask("acct_a", 31);
  watch_ = open();  // killed before it saved: it is seen again
  ask("acct_a", 32);
  ASSERT_TRUE(watch_->save().ok());
  ask("acct_a", 33);
  ASSERT_TRUE(watch_->save().ok());
  EXPECT_EQ(calibrate()->own_periods.at(""), 1);
  ask("acct_a", 62);
  ASSERT_TRUE(watch_->save().ok());
  EXPECT_EQ(calibrate()->own_periods.at(""), 2);
}

TEST_F(CalibratingTest, AServerTakesItUpWhenItStarts) {
  for (int64_t day = 0; day < 40; ++day) ask("acct_a", day, "weather");
  ASSERT_TRUE(watch_->save().ok());
  const auto compared = [&] {
    const auto of = *(*Watching::open(folder_))->account("acct_a", "weather");
    return *of.string_at("compared_with") + " " + std::to_string(*of.int_at("honest_periods"));
  };
  const auto everybody = detect::built_in_calibration().find("")->periods;
  EXPECT_EQ(compared(), " " + std::to_string(everybody));
  ASSERT_TRUE(write_calibration(folder_, calibrate()->calibration).ok());
  EXPECT_EQ(compared(), "weather 1");
  EXPECT_EQ(calibration_of(folder_)->find("")->periods, everybody + 1);
  ASSERT_TRUE(base::write_file_atomic(base::join(folder_, "calibration.json"), "{}").ok());
  const auto damaged = Watch::open(folder_);
  ASSERT_FALSE(damaged.ok());
  EXPECT_EQ(damaged.error().code, ErrorCode::bad_input);
  EXPECT_THAT(damaged.error().text(), ::testing::HasSubstr("retort policy calibrate"));
}

}  // namespace
}  // namespace retort::provider
