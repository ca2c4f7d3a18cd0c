// Detection at the door: from what is asked to the case that it opens.
#include "provider/watch_internal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "accounts/cases.h"
#include "base/clock.h"
#include "base/files.h"

namespace retort::provider {
namespace {

using policy::Step;

constexpr const char* kPolicy = R"TOML(schema = "retort.policy/1"
series = "example"
version = "1"
[time]
announced = 2026-01-01
effective = 2026-01-02
[clause]
id = "2.2(e)"
text = "Answers may not train a rival."
[steps]
warn_minutes = 0
warn_requests = 1
throttle_minutes = 0
throttle_requests = 1
throttle_requests_per_minute = 100000
suspension = "automatic"
[appeal]
contact = "appeals@example.com"
)TOML";

class WatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/watch_" + std::to_string(::getpid()) + "_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_TRUE(base::remove_all(folder_).ok());
    path_ = base::join(folder_, "accounts.db");
    book_ = std::move(*accounts::Book::open(path_));
    policy_ = std::make_shared<const policy::Policy>(*policy::parse_policy(kPolicy, ""));
  }
  void TearDown() override { (void)base::remove_all(folder_); }

  // One filled template after another, no answer ever used: the plainest harvest.
  Watched harvested(int64_t i, const std::string& account) const {
    Watched out;
    out.seen.request = "req_" + std::to_string(i);
    out.seen.turns.emplace_back(detect::Speaker::user,
                                "Write a short story for children in which the word thing" +
                                    std::to_string(i) +
                                    " plays the main part. Explain your reasoning step by step.");
    out.seen.sampling = {.answers = 1, .logprobs = true, .temperature = 1.0, .max_tokens = 400};
    out.account = account;
    out.key = "key_1";
    out.asked_ms = 1'795'000'000'000 + i * 2'000;
    out.input_tokens = 30;
    out.output_tokens = 380;
    out.answer = "Once upon a time there was a thing called thing" + std::to_string(i) + ".";
    return out;
  }
  std::string folder_, path_;
  std::unique_ptr<accounts::Book> book_;
  std::shared_ptr<const policy::Policy> policy_;
};

TEST_F(WatchTest, WithoutAPolicyNothingIsFound) {
  auto watch = *Watch::open(folder_);
  for (int64_t i = 0; i < 3000; ++i) watch->see(harvested(i, "acct_1"));
  EXPECT_TRUE(watch->take().empty());
}

TEST_F(WatchTest, ALicensedAccountIsNeverCharged) {
  auto watch = *Watch::open(folder_);
  watch->bind(policy_);
  for (int64_t i = 0; i < 3000; ++i) {
    Watched one = harvested(i, "acct_1");
    one.training = i % 2 == 0 ? accounts::Training::allowed : accounts::Training::non_competing;
    watch->see(one);
  }
  EXPECT_TRUE(watch->take().empty());
}

TEST_F(WatchTest, NetworksNotAddressesAreCompared) {
  EXPECT_EQ(address_cell("203.0.113.7"), address_cell("203.0.113.250"));
  EXPECT_NE(address_cell("203.0.113.7"), address_cell("203.0.114.7"));
  EXPECT_EQ(address_cell("2001:db8:1::1"), address_cell("2001:db8:1:ffff::9"));
  EXPECT_NE(address_cell("2001:db8:1::1"), address_cell("2001:db8:2::1"));
  EXPECT_EQ(address_cell("nowhere"), 0U);
}

}  // namespace
}  // namespace retort::provider
