#include "policy/case.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "policy/case_json.h"

namespace retort::policy {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kMinute = 60'000;
constexpr int64_t kDay = 86'400'000;

class CaseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    policy_.steps.warn_minutes = 10;
    policy_.steps.warn_requests = 5;
    policy_.steps.throttle_minutes = 20;
    policy_.steps.throttle_requests = 3;
    case_.id = "case_1";
    case_.finding.carries = Step::suspend;
  }
  Move next() const { return next_move(policy_, case_, now_); }
  // As a provider does; false where nothing moves.
  bool step() {
    switch (next()) {
      case Move::none:
        return false;
      case Move::advance:
        advance(policy_, case_, now_);
        return true;
      case Move::propose:
        case_.proposed = true;
        return true;
      case Move::lift:
        lift(case_, "not decided in time", now_);
        return true;
    }
    return false;
  }
  void pass(int64_t minutes, int64_t requests) {
    now_ += minutes * kMinute;
    case_.step_requests += requests;
  }
  Result<void> decided(Decision decision, std::string reason = "because") {
    return decide(policy_, case_, decision, std::move(reason), now_);
  }
  void throttled() {
    ASSERT_TRUE(step());
    pass(10, 5);
    ASSERT_TRUE(step());
    ASSERT_EQ(case_.step, Step::throttle);
  }

  Policy policy_;
  Case case_;
  int64_t now_ = 1'000'000;
};

TEST_F(CaseTest, NoStepIsLeftOutAndEachLastsItsTime) {
  ASSERT_TRUE(step());
  EXPECT_EQ(case_.step, Step::warn) << "however strong the evidence is";
  EXPECT_FALSE(step());
  pass(9, 5);
  EXPECT_FALSE(step()) << "in time";
  case_.step_requests = 4;
  pass(1, 0);
  EXPECT_FALSE(step()) << "in requests that saw the warning";
  pass(0, 1);
  ASSERT_TRUE(step());
  EXPECT_EQ(case_.step, Step::throttle);
  EXPECT_EQ(case_.step_requests, 0);
  pass(20, 3);
  ASSERT_TRUE(step());
  EXPECT_EQ(case_.step, Step::throttle) << "a person decides";
  EXPECT_TRUE(case_.proposed);
  EXPECT_FALSE(step());
  ASSERT_TRUE(decided(Decision::confirm).ok());
  EXPECT_EQ(case_.step, Step::suspend);
  EXPECT_EQ(case_.reason, "because");
}

TEST_F(CaseTest, SuspendsByItselfOnlyWhereThePolicySaysSo) {
  policy_.steps.automatic = true;
  throttled();
  pass(20, 3);
  ASSERT_TRUE(step());
  EXPECT_EQ(case_.step, Step::suspend);
  EXPECT_FALSE(step());
}

TEST_F(CaseTest, WhatOthersDidSuspendsNobodyByItself) {
  policy_.steps.automatic = true;
  case_.finding.of_others = true;
  throttled();
  pass(20, 3);
  ASSERT_TRUE(step());
  EXPECT_EQ(case_.step, Step::throttle);
  EXPECT_TRUE(case_.proposed);
  const auto stored = read_case(json::dump(to_json(case_)), "");
  ASSERT_TRUE(stored.ok());
  EXPECT_TRUE(stored->finding.of_others);
  ASSERT_TRUE(decided(Decision::confirm).ok());
  EXPECT_EQ(case_.step, Step::suspend);
}

TEST_F(CaseTest, NoStepGoesBeyondTheEvidence) {
  policy_.steps.automatic = true;
  for (const Step carried : {Step::watch, Step::warn, Step::throttle, Step::suspend}) {
    case_ = {};
    case_.finding.carries = carried;
    for (int i = 0; i < 10; ++i) {
      step();
      pass(60, 60);
    }
    EXPECT_EQ(case_.step, carried);
  }
}

TEST_F(CaseTest, AnAppealPausesAndAnUndecidedOneLifts) {
  throttled();
  EXPECT_EQ(appeal_hindrance(case_, now_), std::nullopt);
  take_appeal(policy_, case_, "we translate manuals", now_);
  EXPECT_THAT(*appeal_hindrance(case_, now_), HasSubstr("already"));
  pass(10'000, 10'000);
  case_.step_ms = now_ - kDay;
  EXPECT_EQ(next(), Move::none) << "no step during an appeal";
  now_ = case_.appeal.decide_by_ms - 1;
  EXPECT_EQ(next(), Move::none);
  ++now_;
  ASSERT_TRUE(step());
  EXPECT_EQ(case_.status, Status::lifted);
  EXPECT_TRUE(case_.over());
  EXPECT_FALSE(step());
}

TEST_F(CaseTest, OneAppealAStepAndOnlyInTime) {
  EXPECT_THAT(*appeal_hindrance(case_, now_), HasSubstr("nothing has been done"));
  throttled();
  take_appeal(policy_, case_, "no", now_);
  ASSERT_TRUE(decided(Decision::uphold).ok());
  EXPECT_EQ(case_.step, Step::throttle);
  EXPECT_THAT(*appeal_hindrance(case_, now_), HasSubstr("passed"));
  pass(20, 3);
  ASSERT_TRUE(step());
  ASSERT_TRUE(decided(Decision::confirm).ok());
  EXPECT_EQ(appeal_hindrance(case_, now_), std::nullopt) << "a new step, a new appeal";
  now_ += policy_.appeals.days * kDay;
  EXPECT_EQ(appeal_hindrance(case_, now_), std::nullopt);
  ++now_;
  EXPECT_THAT(*appeal_hindrance(case_, now_), HasSubstr("passed"));
}

TEST_F(CaseTest, AProposedSuspensionWaitsForTheAppeal) {
  throttled();
  pass(20, 3);
  ASSERT_TRUE(step());
  take_appeal(policy_, case_, "wait", now_);
  EXPECT_THAT(decided(Decision::confirm).error().text(), HasSubstr("under appeal"));
  ASSERT_TRUE(decided(Decision::uphold).ok());
  EXPECT_TRUE(decided(Decision::confirm).ok());
}

TEST_F(CaseTest, DecisionsThatNobodyAskedForAreRefused) {
  EXPECT_THAT(decided(Decision::confirm).error().text(), HasSubstr("no suspension proposed"));
  EXPECT_THAT(decided(Decision::uphold).error().text(), HasSubstr("no appeal"));
  EXPECT_THAT(decided(Decision::lift).error().text(), HasSubstr("no step"));
  EXPECT_THAT(decided(Decision::close, "").error().text(), HasSubstr("reason"));
  ASSERT_TRUE(decided(Decision::close).ok());
  EXPECT_EQ(case_.status, Status::closed);
  EXPECT_THAT(decided(Decision::close).error().text(), HasSubstr("is over"));
}

// Whatever happens in whatever order: steps go up by one, never during an appeal, never before
// their time, and what is over stays over.
TEST_F(CaseTest, HoldsForAnyHistory) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    base::Random random(seed);
    const auto pick = [&random](uint64_t below) { return random.below(below); };
    case_ = {};
    policy_.steps.automatic = pick(2) == 0;
    for (int i = 0; i < 60; ++i) {
      const Case before = case_;
      pass(static_cast<int64_t>(pick(15)), static_cast<int64_t>(pick(5)));
      case_.finding.carries = static_cast<Step>(pick(4));
      switch (pick(4)) {
        case 0:
          if (!appeal_hindrance(case_, now_)) take_appeal(policy_, case_, "x", now_);
          break;
        case 1:
          (void)decided(static_cast<Decision>(pick(4)));
          break;
        default:
          if (next() == Move::advance) {
            ASSERT_NE(before.status, Status::appealed);
            ASSERT_TRUE(before.step != Step::throttle || policy_.steps.automatic);
          }
          step();
      }
      ASSERT_LE(static_cast<int>(case_.step), static_cast<int>(before.step) + 1);
      ASSERT_GE(static_cast<int>(case_.step), static_cast<int>(before.step));
      if (case_.step == Step::suspend && before.step != Step::suspend) {
        ASSERT_TRUE(case_.finding.carries == Step::suspend || before.proposed);
      }
      if (before.over()) {
        ASSERT_EQ(case_.status, before.status);
        ASSERT_EQ(case_.step, before.step);
      }
    }
  }
}

}  // namespace
}  // namespace retort::policy
