#include "detect/detector.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "detect/testing_traffic_internal.h"

namespace retort::detect {
namespace {

using testing::chatter;
using testing::honest_like;
using testing::joint_model;
using testing::Traffic;

template <class T>
concept HasStep = requires(T finding) {
  finding.step;
};
static_assert(HasStep<Charge>);
static_assert(!HasStep<Report>, "nothing can be done to an account that may train");

TEST(Detector, ATemplateHarvestIsChargedWithItsEvidence) {
  Traffic traffic(honest_like(-7));
  std::vector<Finding> findings;
  for (uint64_t i = 0; i < 300; ++i) {
    if (auto finding = traffic.take("acct_1", i)) findings.push_back(*finding);
  }
  ASSERT_FALSE(findings.empty());
  EXPECT_LE(findings.size(), 3U);  // a step a finding, none twice
  const auto* charge = std::get_if<Charge>(&findings.back());
  ASSERT_NE(charge, nullptr);
  EXPECT_EQ(charge->step, Step::suspend);
  const Evidence& evidence = charge->evidence;
  EXPECT_GE(evidence.e_value, 1000);
  EXPECT_EQ(evidence.threshold, 1000);
  EXPECT_EQ(evidence.honest_periods, 5000);
  EXPECT_EQ(evidence.compared_with, "chat");
  EXPECT_FALSE(evidence.examples.empty());
  EXPECT_EQ(evidence.examples.front().substr(0, 4), "req_");
  ASSERT_FALSE(evidence.measures.empty());
  EXPECT_EQ(evidence.measures.front().feature, Feature::filled_template);
  EXPECT_FALSE(evidence.cluster);
  int counting = 0;
  for (const auto& family : evidence.families) counting += family.counts ? 1 : 0;
  EXPECT_EQ(counting, 2);

  const json::Value value = to_json(findings.back());
  EXPECT_EQ(*value.string_at("step"), "suspend");
  EXPECT_EQ(*value.string_at("clause"), "no-training");
  const std::string words = to_words(findings.back());
  EXPECT_NE(words.find("5000 periods of 30 days"), std::string::npos) << words;
  EXPECT_NE(words.find("appeal"), std::string::npos);
}

TEST(Detector, WhatFewRequestsShowIsLoweredForChance) {
  Traffic traffic(honest_like(20));
  traffic.answer_tokens = 20;
  float early = 0;
  for (uint64_t i = 0; i < 60; ++i) {
    traffic.take("acct_1", i);
    if (i == 8) early = traffic.detector().state("acct_1")->wealth.total;
  }
  // The one tree gives -6 or 6, whatever the number of requests.
  EXPECT_FLOAT_EQ(early, -6 - early_handicap(8));
  EXPECT_FLOAT_EQ(traffic.detector().state("acct_1")->wealth.total, 6);
}

TEST(Detector, OneFamilyOfEvidenceDoesNotSuspend) {
  Traffic traffic(honest_like(-7));
  traffic.answer_tokens = 20;  // answers are as short as usual: what is asked speaks alone
  Step highest = Step::watch;
  for (uint64_t i = 0; i < 300; ++i) {
    if (auto finding = traffic.take("acct_1", i)) highest = std::get<Charge>(*finding).step;
  }
  EXPECT_EQ(highest, Step::throttle);
}

Step joint_harvest(int64_t answer_tokens, int families) {
  Policy policy;
  policy.families = families;
  Traffic traffic(honest_like(-7), policy, joint_model());
  traffic.answer_tokens = answer_tokens;
  Step highest = Step::watch;
  for (uint64_t i = 0; i < 300; ++i) {
    if (auto finding = traffic.take("acct_1", i)) highest = std::get<Charge>(*finding).step;
  }
  return highest;
}

TEST(Detector, WhatIsLeftWithoutTheWeightiestKindIsTheSecondKind) {
  EXPECT_EQ(joint_harvest(500, 2), Step::suspend);
  EXPECT_EQ(joint_harvest(20, 2), Step::throttle);   // nothing is left without what is asked
  EXPECT_EQ(joint_harvest(500, 3), Step::throttle);  // three have to count by themselves
}

TEST(Detector, APurposeNobodyCalibratedWithIsThrottledAtMost) {
  for (const auto& [purpose, expected] :
       {std::pair{"chat", Step::suspend}, {"", Step::suspend}, {"weather", Step::throttle}}) {
    Traffic traffic(honest_like(-7));
    traffic.purpose = purpose;
    for (uint64_t i = 0; i < 300; ++i) traffic.take("acct_1", i);
    EXPECT_EQ(traffic.detector().state("acct_1")->step, expected) << purpose;
  }
}

TEST(Detector, TooFewHonestAccountsSuspendNobody) {
  CalibrationBuilder builder(1);
  Wealth wealth;
  for (int i = 0; i < 900; ++i) builder.add("chat", wealth);
  Traffic traffic(builder.finish());
  for (uint64_t i = 0; i < 300; ++i) {
    if (auto finding = traffic.take("acct_1", i)) {
      EXPECT_LT(std::get<Charge>(*finding).step, Step::suspend);
    }
  }
}

TEST(Detector, ALicenceMakesItAReport) {
  for (const Licence licence : {Licence::allowed, Licence::non_competing}) {
    Traffic traffic(honest_like(-7));
    int reports = 0;
    for (uint64_t i = 0; i < 300; ++i) {
      if (auto finding = traffic.take("acct_1", i, licence)) {
        ASSERT_TRUE(std::holds_alternative<Report>(*finding));
        EXPECT_EQ(to_json(*finding).find("step"), nullptr);
        ++reports;
      }
    }
    EXPECT_GT(reports, 0);
  }
}

TEST(Detector, HonestTrafficIsLeftAlone) {
  Traffic traffic(honest_like(-7));
  for (uint64_t i = 0; i < 2000; ++i) {
    EXPECT_FALSE(traffic.ask("acct_" + std::to_string(i % 5), chatter(i)));
  }
}

TEST(Detector, OtherTrafficDoesNotDilute) {
  Traffic traffic(honest_like(-7));
  Step highest = Step::watch;
  int asked = 0;
  for (uint64_t i = 0; i < 2000 && highest < Step::suspend; ++i, ++asked) {
    const auto finding =
        i % 10 == 9 ? traffic.take("acct_1", i) : traffic.ask("acct_1", chatter(i));
    if (finding) highest = std::get<Charge>(*finding).step;
  }
  EXPECT_EQ(highest, Step::suspend);
  EXPECT_LT(asked, 800);
}

TEST(Detector, StoredAndTakenBackItGoesOn) {
  Traffic straight(honest_like(-7)), broken(honest_like(-7));
  for (uint64_t i = 0; i < 60; ++i) {
    const auto a = straight.take("acct_1", i), b = broken.take("acct_1", i);
    ASSERT_EQ(a.has_value(), b.has_value()) << i;
    const std::string bytes = broken.detector().save("acct_1");
    ASSERT_LE(bytes.size(), 4096 + 16U);
    broken.detector().forget("acct_1");
    EXPECT_EQ(broken.detector().save("acct_1"), "");
    ASSERT_TRUE(broken.detector().restore("acct_1", bytes).ok());
  }
  EXPECT_EQ(straight.detector().save("acct_1"), broken.detector().save("acct_1"));
  EXPECT_FALSE(broken.detector().restore("acct_1", "no state").ok());
}

TEST(Detector, NoTextIsKept) {
  Traffic traffic(honest_like(-7));
  for (uint64_t i = 0; i < 50; ++i) traffic.take("acct_1", i);
  const std::string bytes = traffic.detector().save("acct_1");
  for (const char* part : {"ency", "ncyc", "deta", "arti"}) {
    EXPECT_EQ(bytes.find(part), std::string::npos) << part;
  }
}

TEST(Detector, ForgottenItIsWatchedFromTheBeginning) {
  Traffic traffic(honest_like(-7));
  for (uint64_t i = 0; i < 300; ++i) traffic.take("acct_1", i);
  ASSERT_EQ(traffic.detector().state("acct_1")->step, Step::suspend);
  traffic.detector().forget("acct_1");
  EXPECT_FALSE(traffic.take("acct_1", 1000));
  EXPECT_EQ(traffic.detector().state("acct_1")->step, Step::watch);
}

TEST(Detector, EvidenceOutlivesAPeriodAndNewOneWeighsLess) {
  Policy policy;
  policy.suspend_alpha = 1e-9;
  policy.throttle_alpha = 1e-9;
  policy.warn_alpha = 1e-9;
  Traffic traffic(honest_like(-7), policy);
  for (uint64_t i = 0; i < 60; ++i) traffic.take("acct_1", i);
  const double first =
      e_value(*honest_like(-7).find("chat"), traffic.detector().state("acct_1")->wealth.total);
  traffic.wait_days(31);
  traffic.take("acct_1", 100);
  const AccountState* state = traffic.detector().state("acct_1");
  EXPECT_EQ(state->period, 1U);
  EXPECT_NEAR(state->evidence_past, first / 2, 1e-6 * first);
  EXPECT_LT(state->wealth.total, 0);  // of the new period nothing is known yet
  traffic.wait_days(31);
  traffic.take("acct_1", 101);
  EXPECT_EQ(traffic.detector().state("acct_1")->period, 2U);
  EXPECT_GE(traffic.detector().state("acct_1")->evidence_past, first / 2);
}

}  // namespace
}  // namespace retort::detect
