// Detection at the door: from what is asked to the case that it opens.
#include "provider/watch_internal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "accounts/cases.h"
#include "base/clock.h"
#include "base/files.h"

namespace retort::provider {
namespace {

using policy::Step;

constexpr const char* kWatchPolicy = R"TOML(schema = "retort.policy/1"
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

// Read by the provider's own thread while the test moves it.
class SharedClock : public base::Clock {
 public:
  int64_t monotonic_ms() const override { return now_ms_; }
  int64_t wall_ms() const override { return 1'795'000'000'000 + now_ms_; }
  void sleep_ms(int64_t duration_ms) override { now_ms_ += duration_ms; }

 private:
  std::atomic<int64_t> now_ms_{0};
};

class WatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/watch_" + std::to_string(::getpid()) + "_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_TRUE(base::remove_all(folder_).ok());
    path_ = base::join(folder_, "accounts.db");
    book_ = std::move(*accounts::Book::open(path_));
    policy_ = std::make_shared<const policy::Policy>(*policy::parse_policy(kWatchPolicy, ""));
  }
  void TearDown() override { (void)base::remove_all(folder_); }

  static std::string item(int64_t i) {
    std::string word;
    for (uint64_t left = static_cast<uint64_t>(i) * 7919 + 104'729; left > 0; left /= 20) {
      word += "bcdfghjklmnpqrstvwxz"[left % 20];
      word += "aeiou"[left % 5];
    }
    return word;
  }
  // One filled template after another, no answer ever used: the plainest harvest.
  Watched harvested(int64_t i, std::string_view account) const {
    Watched out;
    out.seen.request = "req_" + std::to_string(i);
    out.seen.turns.emplace_back(detect::Speaker::user,
                                "Write a detailed encyclopedia article about " + item(i) + ".");
    out.seen.sampling = {.answers = 1, .temperature = 0.7, .max_tokens = 1024};
    out.account = account;
    out.key = "key_1";
    out.purpose = "chat";
    out.asked_ms = 1'760'000'000'000 + i * 20'000;
    out.input_tokens = 15;
    out.output_tokens = 400 + i * 37 % 200;
    return out;
  }
  std::string folder_, path_;
  std::unique_ptr<accounts::Book> book_;
  std::shared_ptr<const policy::Policy> policy_;
};

TEST_F(WatchTest, APlainHarvestIsCharged) {
  auto watch = *Watch::open(folder_);
  watch->bind(policy_);
  Step gravest = Step::watch;
  std::string words;
  for (int64_t i = 0; i < 1000; ++i) {
    watch->see(harvested(i, "acct_1"));
    for (const auto& one : watch->take()) {
      EXPECT_EQ(one.account, "acct_1");
      EXPECT_TRUE(json::parse(one.finding.evidence).ok());
      gravest = std::max(gravest, one.finding.carries);
      words = one.finding.words;
    }
  }
  EXPECT_EQ(gravest, Step::suspend) << words;
}

// Accounts that have nothing in common but who pays for them.
TEST_F(WatchTest, WhoPaysTiesAccountsTogether) {
  const auto bonds = [&](std::string_view payer) {
    auto watch = *Watch::open(folder_);
    watch->bind(policy_);
    std::set<std::string> out;
    for (int64_t i = 0; i < 3'000; ++i) {
      const std::string account = "acct_" + std::to_string(i % 60);
      Watched one = harvested(i, account);
      one.payer = payer;
      one.seen.turns.front().second = item(i % 60) + " " + item(90 + i % 60) + " about " + item(i) +
                                      " " + item(200 + i % 60) + " " + item(300 + i % 60);
      watch->see(one);
      for (const auto& charged : watch->take()) {
        const auto evidence = *json::parse(charged.finding.evidence);
        const auto* cluster = evidence.find("cluster");
        if (cluster != nullptr) out.insert(*cluster->string_at("bond"));
      }
    }
    watch.reset();
    EXPECT_TRUE(base::remove_all(folder_).ok());
    EXPECT_TRUE(base::make_directories(folder_).ok());
    return out;
  };
  EXPECT_THAT(bonds("card-3f9a"), ::testing::Contains("payer"));
  EXPECT_THAT(bonds(""), ::testing::Not(::testing::Contains("payer")));
}

TEST_F(WatchTest, WithoutAPolicyNothingIsFound) {
  auto watch = *Watch::open(folder_);
  for (int64_t i = 0; i < 1000; ++i) watch->see(harvested(i, "acct_1"));
  EXPECT_TRUE(watch->take().empty());
}

TEST_F(WatchTest, ALicensedAccountIsNeverCharged) {
  auto watch = *Watch::open(folder_);
  watch->bind(policy_);
  for (int64_t i = 0; i < 1000; ++i) {
    Watched one = harvested(i, "acct_1");
    one.training = i % 2 == 0 ? accounts::Training::allowed : accounts::Training::non_competing;
    watch->see(one);
  }
  EXPECT_TRUE(watch->take().empty());
}

TEST_F(WatchTest, NoRequestWaitsForWhatIsBeingSaved) {
  auto watch = *Watch::open(folder_);
  watch->bind(policy_);
  watch->see(harvested(0, "acct_1"));
  auto other = std::move(*store::Database::open(base::join(folder_, kDetectionFile)));
  std::atomic<bool> saved{false};
  std::thread saving;
  {
    auto held = std::move(*other->begin());  // the store is somebody else's for a while
    saving = std::thread([&] {
      (void)watch->save();
      saved = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    watch->see(harvested(1, "acct_1"));
    EXPECT_FALSE(saved);
  }
  saving.join();
  EXPECT_TRUE(watch->save().ok());
}

TEST_F(WatchTest, WhatWasSeenSurvivesARestartAndAReinstatementForgetsIt) {
  const auto requests_until_found = [&](Watch& watch, int64_t from) {
    for (int64_t i = from; i < from + 5000; ++i) {
      watch.see(harvested(i, "acct_1"));
      if (!watch.take().empty()) return i - from;
    }
    return int64_t{-1};
  };
  auto watch = *Watch::open(folder_);
  watch->bind(policy_);
  const int64_t fresh = requests_until_found(*watch, 0);
  ASSERT_GT(fresh, 3);
  watch->forget("acct_1");
  EXPECT_GT(requests_until_found(*watch, 10'000), fresh / 2) << "it begins anew";
  watch->forget("acct_1");
  for (int64_t i = 0; i < fresh - 1; ++i) watch->see(harvested(i, "acct_1"));
  ASSERT_TRUE(watch->take().empty());
  ASSERT_TRUE(watch->save().ok());
  watch.reset();
  watch = *Watch::open(folder_);
  watch->bind(policy_);
  EXPECT_LE(requests_until_found(*watch, fresh - 1), 2);
}

TEST_F(WatchTest, NetworksNotAddressesAreCompared) {
  EXPECT_EQ(address_cell("203.0.113.7"), address_cell("203.0.113.250"));
  EXPECT_NE(address_cell("203.0.113.7"), address_cell("203.0.114.7"));
  EXPECT_EQ(address_cell("2001:db8:1::1"), address_cell("2001:db8:1:ffff::9"));
  EXPECT_NE(address_cell("2001:db8:1::1"), address_cell("2001:db8:2::1"));
  EXPECT_EQ(address_cell("::ffff:203.0.113.7"), address_cell("203.0.113.250"));
  EXPECT_NE(address_cell("::ffff:203.0.113.7"), address_cell("::ffff:203.0.114.7"));
  EXPECT_EQ(address_cell("nowhere"), 0U);
}

// Through the door itself: tickets, the desk, the account's state.
TEST_F(WatchTest, FromTheFirstRequestToTheSuspension) {
  auto cases = std::move(*accounts::Cases::open(path_, {}));
  ASSERT_TRUE(cases->add_policy(*policy_, "ann").ok());
  const std::string account = book_->create({.name = "Example Ltd", .purpose = "chat"}, "ann")->id;
  const std::string key = "Bearer " + book_->issue({.account = account}, "ann")->secret;
  SharedClock clock;
  auto provider = std::move(*Provider::open({.folder = folder_, .clock = &clock, .look_ms = 1}));
  std::optional<openai::ApiError> refused;
  bool warned = false;
  int answered = 0;
  for (int64_t i = 0; i < 1500 && !refused; ++i) {
    auto visitor =
        provider->identify({.authorization = key, .address = "203.0.113.7", .scope = "chat"});
    if (auto* no = std::get_if<Refused>(&visitor)) {
      refused = no->error;
      break;
    }
    auto ticket = provider->admit(std::get<Visitor>(visitor), {.model = "m",
                                                               .input_tokens = 30,
                                                               .output_tokens = 380,
                                                               .seen = harvested(i, account).seen});
    if (auto* no = std::get_if<Refused>(&ticket)) {
      refused = no->error;
      break;
    }
    auto& held = std::get<Ticket>(ticket);
    warned = warned || http::find_header(held.headers(), "retort-policy-case") != nullptr;
    // Some leave in the midst of the answer: that is seen as well.
    const auto sent = harvested(i, account);
    held.note(sent.output_tokens);
    if (i % 3 != 0) held.finish(sent.input_tokens, sent.output_tokens, sent.answer);
    ++answered;
    clock.sleep_ms(20'000);
    std::this_thread::sleep_for(std::chrono::milliseconds(4));
  }
  ASSERT_TRUE(refused) << answered;
  EXPECT_EQ(refused->code, "account_suspended");
  EXPECT_TRUE(warned) << "no step was left out";
  const auto subject = cases->list({.account = account})->front();
  EXPECT_EQ(subject.step, Step::suspend);
  EXPECT_EQ(cases->events(subject.id)->size(), 4U) << "opened, and three steps";
  EXPECT_NE(subject.finding.words, "");
}

}  // namespace
}  // namespace retort::provider
