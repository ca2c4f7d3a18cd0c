#include "accounts/cases.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "accounts/stores_testing_internal.h"
#include "base/clock.h"
#include "base/files.h"

namespace retort::accounts {
namespace {

using policy::Decision;
using policy::Status;
using policy::Step;
using ::testing::HasSubstr;

constexpr const char* kPolicy = R"TOML(schema = "retort.policy/1"
series = "example.harvesting"
version = "VERSION"
[time]
announced = 2026-11-01
effective = EFFECTIVE
[clause]
id = "2.2(e)"
text = "Answers may not train a rival."
[steps]
warn_minutes = 0
warn_requests = 2
throttle_minutes = 0
throttle_requests = 1
[appeal]
contact = "appeals@example.com"
)TOML";

policy::Policy policy_of(const std::string& version, const std::string& effective) {
  std::string text = kPolicy;
  text.replace(text.find("VERSION"), 7, version);
  text.replace(text.find("EFFECTIVE"), 9, effective);
  return *policy::parse_policy(text, "policy.toml");
}

class CasesTest : public StoresTest {
 protected:
  void SetUpStore() override {
    path_ = store_address(GetParam(), base::join(folder_, "accounts.db"));
    book_ = std::move(*Book::open(path_, {.create = true, .clock = &clock_}));
    cases_ = std::move(*Cases::open(path_, {.create = true, .clock = &clock_}));
    account_ = book_->create({.name = "Example Ltd"}, "ann")->id;
    ASSERT_TRUE(cases_->add_policy(policy_, "ann").ok());
  }

  policy::Case begun() { return *cases_->begin(account_, policy_, finding_, "detector"); }
  Result<policy::Case> advance(const std::string& id) {
    return cases_->change(id, "advanced", "detector",
                          [this](const policy::Policy& policy, policy::Case& subject) {
                            policy::advance(policy, subject, clock_.wall_ms());
                            return Result<void>();
                          });
  }
  Result<policy::Case> decide(const std::string& id, Decision decision) {
    return cases_->change(
        id, "decided", "ann", [&](const policy::Policy& policy, policy::Case& subject) {
          return policy::decide(policy, subject, decision, "our mistake", clock_.wall_ms());
        });
  }

  base::ManualClock clock_{1'795'000'000'000};  // November 2026
  std::string path_, account_;
  std::unique_ptr<Book> book_;
  std::unique_ptr<Cases> cases_;
  policy::Policy policy_ = policy_of("2026-12-01", "2026-12-01");
  policy::Finding finding_{.carries = Step::suspend,
                           .words = "one template over a word list",
                           .evidence = R"({"coverage":0.9})"};
};
RETORT_OVER_BOTH_STORES(CasesTest);

TEST_P(CasesTest, ACaseIsReadAsItWasWritten) {
  const auto made = begun();
  const auto read = *cases_->find(made.id);
  EXPECT_EQ(read.account, account_);
  EXPECT_EQ(read.policy, policy_.id);
  EXPECT_EQ(read.clause, "2.2(e)");
  EXPECT_EQ(read.finding.words, finding_.words);
  EXPECT_EQ(read.finding.evidence, finding_.evidence);
  EXPECT_EQ(read.finding.carries, Step::suspend);
  EXPECT_EQ(read.step, Step::watch);
  EXPECT_EQ((*cases_->open_of(account_))->id, made.id);
  EXPECT_THAT(cases_->find("case_x").error().text(), HasSubstr("there is no case"));
}

TEST_P(CasesTest, TheAccountFollowsItsCase) {
  const auto id = begun().id;
  const auto state = [&] { return book_->account(account_)->state; };
  ASSERT_TRUE(advance(id).ok());
  ASSERT_TRUE(advance(id).ok());
  EXPECT_EQ(state(), State::active);
  ASSERT_TRUE(advance(id).ok());
  const auto account = *book_->account(account_);
  EXPECT_EQ(account.state, State::suspended);
  EXPECT_EQ(account.case_id, id);
  EXPECT_EQ(account.reason, "clause 2.2(e): one template over a word list");
  ASSERT_TRUE(decide(id, Decision::lift).ok());
  EXPECT_EQ(state(), State::active);
  EXPECT_FALSE(cases_->open_of(account_)->has_value());
  const auto events = *cases_->events(id);
  ASSERT_EQ(events.size(), 5U);
  EXPECT_EQ(events[3].step, Step::suspend);
  EXPECT_EQ(events[4].status, Status::lifted);
  EXPECT_EQ(events[4].actor, "ann");
  EXPECT_EQ(events[4].reason, "our mistake");
  std::vector<std::string> history;
  const auto changes = *book_->history(account_);
  for (const auto& one : changes) history.push_back(one.what);
  EXPECT_THAT(history, ::testing::ElementsAre("created", "suspended", "reinstated"));
}

TEST_P(CasesTest, ASuspensionOfAnotherKindStays) {
  const auto id = begun().id;
  ASSERT_TRUE(book_->suspend(account_, "unpaid", "", "ann").ok());
  ASSERT_TRUE(advance(id).ok());
  ASSERT_TRUE(decide(id, Decision::lift).ok());
  EXPECT_EQ(book_->account(account_)->state, State::suspended);
  EXPECT_EQ(book_->account(account_)->reason, "unpaid");
}

TEST_P(CasesTest, AnAccountHasOneOpenCaseAndALicensedOneNone) {
  const auto first = begun();
  const auto second = cases_->begin(account_, policy_, finding_, "detector");
  EXPECT_THAT(second.error().text(), HasSubstr(first.id));
  EXPECT_TRUE(cases_->find(first.id).ok());
  ASSERT_TRUE(decide(first.id, Decision::close).ok());
  EXPECT_TRUE(cases_->begin(account_, policy_, finding_, "detector").ok());
  const auto licensed = book_->create({.name = "Lab", .training = Training::allowed}, "ann")->id;
  EXPECT_THAT(cases_->begin(licensed, policy_, finding_, "detector").error().text(),
              HasSubstr("may train"));
  EXPECT_THAT(cases_->begin("acct_x", policy_, finding_, "detector").error().text(),
              HasSubstr("no account"));
}

TEST_P(CasesTest, WhatIsRefusedLeavesNothing) {
  const auto id = begun().id;
  const auto failed =
      cases_->change(id, "decided", "ann", [](const policy::Policy&, policy::Case& subject) {
        subject.step = Step::suspend;
        return Result<void>(base::usage_error("no"));
      });
  EXPECT_FALSE(failed.ok());
  EXPECT_EQ(cases_->find(id)->step, Step::watch);
  EXPECT_EQ(book_->account(account_)->state, State::active);
  EXPECT_EQ(cases_->events(id)->size(), 1U);
  policy::Finding broken = finding_;
  broken.evidence = "{";
  EXPECT_FALSE(cases_->update(id, 1, &broken).ok());
  broken = finding_;
  broken.words = "";
  EXPECT_FALSE(cases_->update(id, 1, &broken).ok());
  EXPECT_EQ(cases_->find(id)->step_requests, 0);
}

TEST_P(CasesTest, RequestsAddUpWhateverElseChangesMeanwhile) {
  const auto id = begun().id;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, &id] {
      auto own = *Cases::open(path_, {.create = false});
      for (int i = 0; i < 10; ++i) ASSERT_TRUE(own->update(id, 1, nullptr).ok());
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(cases_->find(id)->step_requests, 40);
  ASSERT_TRUE(decide(id, Decision::close).ok());
  EXPECT_TRUE(cases_->update(id, 1, nullptr).ok());
  EXPECT_EQ(cases_->find(id)->step_requests, 40) << "what is over counts nothing";
}

TEST_P(CasesTest, APolicyIsAddedBeforeItBindsAndNeverRewritten) {
  EXPECT_TRUE(cases_->add_policy(policy_, "ann").ok()) << "the same again";
  EXPECT_EQ(cases_->policies()->size(), 1U);
  EXPECT_THAT(cases_->add_policy(policy_of("2026-12-01", "2026-12-24"), "ann").error().text(),
              HasSubstr("says something else"));
  EXPECT_THAT(cases_->add_policy(policy_of("new", "2026-11-05"), "ann").error().text(),
              HasSubstr("a day that has passed"));
  EXPECT_TRUE(cases_->add_policy(policy_of("new", "2027-02-01"), "ann").ok());
  auto other = policy_of("x", "2027-02-01");
  other.series = "another";
  EXPECT_THAT(cases_->add_policy(other, "ann").error().text(), HasSubstr("one series"));
  EXPECT_EQ(cases_->policies()->size(), 2U);
}

}  // namespace
}  // namespace retort::accounts
