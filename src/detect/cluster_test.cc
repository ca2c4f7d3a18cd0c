// Several accounts with one list, and who is charged with it.
#include "detect/cluster.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"
#include "detect/testing_traffic_internal.h"

namespace retort::detect {
namespace {

using testing::chatter;
using testing::honest_like;
using testing::joint_model;
using testing::simple_model;
using testing::Traffic;
using testing::word;

struct Split {
  std::set<std::string> charged, suspended;
  uint64_t cluster = 0;
};

// `accounts` take turns with one list while others chat; each account asks `each` of it.
Split split_harvest(Traffic& traffic, uint64_t accounts, uint64_t each) {
  Split out;
  const auto note = [&](const std::string& account, const std::optional<Finding>& finding) {
    if (!finding) return;
    const auto& charge = std::get<Charge>(*finding);
    if (charge.step == Step::suspend) out.suspended.insert(account);
    if (!charge.evidence.cluster) return;
    out.charged.insert(account);
    out.cluster = charge.evidence.cluster->id;
  };
  for (uint64_t i = 0; i < accounts * each; ++i) {
    const std::string account = "acct_h" + std::to_string(i % accounts);
    note(account, traffic.take(account, i));
    const std::string other = "acct_c" + std::to_string(i % 50);
    note(other, traffic.ask(other, chatter(i)));
  }
  return out;
}

TEST(Clusters, AListSharedOutIsFoundWhereEachAccountAsksLittle) {
  Traffic traffic(honest_like(-9, 5));
  const Split found = split_harvest(traffic, 100, 14);
  EXPECT_GE(found.charged.size(), 95U);
  for (const auto& account : found.charged) EXPECT_EQ(account.substr(0, 6), "acct_h");
  EXPECT_EQ(found.suspended.size(), found.charged.size());
  const Pool* pool = traffic.detector().clusters().find(found.cluster);
  ASSERT_NE(pool, nullptr);
  EXPECT_NEAR(pool->accounts.estimate(), 100, 35);
}

TEST(Clusters, WhatIsNotKnownIsHeldInCommonByNobody) {
  const auto features = [](uint64_t address) {
    Traffic traffic(honest_like(-9, 5));
    traffic.address = address;
    const Pool* pool = traffic.detector().clusters().find(split_harvest(traffic, 60, 14).cluster);
    return pool != nullptr ? pool->features() : Features{};
  };
  const Features nowhere = features(0), one_place = features(77);
  EXPECT_GT(at(nowhere, Feature::accounts), 0.4);
  EXPECT_LT(at(nowhere, Feature::few_addresses), 0.3);
  EXPECT_GT(at(one_place, Feature::few_addresses), 0.9);
  EXPECT_LT(at(one_place, Feature::few_payments), 0.3);
}

TEST(Clusters, WhoTakesOverTheListJoinsTheCluster) {
  Traffic traffic(honest_like(-9, 5));
  split_harvest(traffic, 20, 30);
  std::optional<Finding> finding;
  uint64_t asked = 0;
  while (!finding && asked < 20) finding = traffic.take("acct_new", 5000 + asked++);
  ASSERT_TRUE(finding);
  EXPECT_TRUE(std::get<Charge>(*finding).evidence.cluster);
  EXPECT_LE(asked, 8U);
}

TEST(Clusters, AClassWithTheSameExercisesIsNone) {
  Traffic traffic(honest_like(-9, 5));
  base::Random random(8);
  for (uint64_t i = 0; i < 1200; ++i) {
    // Six exercises in the same words: each is asked by many.
    EXPECT_FALSE(traffic.take("acct_" + std::to_string(random.below(30)), random.below(6))) << i;
  }
}

TEST(Clusters, AnAccountThatIsUsualByItselfIsNoMember) {
  Traffic traffic(honest_like(20));  // honest accounts of this purpose all look like that
  EXPECT_TRUE(split_harvest(traffic, 50, 14).charged.empty());
}

// When an account that takes of the list is suspended: its so-manieth request; 0: not with five.
struct Newcomer {
  std::string account;
  uint64_t address = 77;
  std::string purpose = "chat";
  double temperature = 1;
  bool asks_elsewhere = false;  // something else, before each
};
int suspended_at(Traffic& traffic, const Newcomer& newcomer) {
  traffic.purpose = newcomer.purpose;
  traffic.temperature = newcomer.temperature;
  for (uint64_t i = 0; i < 5; ++i) {
    traffic.address = 0;
    if (newcomer.asks_elsewhere) traffic.ask(newcomer.account, chatter(9000 + i));
    traffic.address = newcomer.address;
    const auto finding = traffic.take(newcomer.account, 1000 + i);
    if (!finding || std::get<Charge>(*finding).step != Step::suspend) continue;
    EXPECT_TRUE(evidence_of(*finding).cluster);
    return static_cast<int>(i) + 1;
  }
  return 0;
}

TEST(Clusters, WhoAsksInItsGuiseIsAnHeir) {
  // By themselves they are as honest accounts are.
  Traffic traffic(honest_like(20), {}, joint_model());
  traffic.address = 77;
  for (uint64_t i = 0; i < 200; ++i) traffic.take("acct_" + std::to_string(i % 10), i);
  ASSERT_EQ(traffic.detector().state("acct_1")->step, Step::suspend);
  EXPECT_EQ(suspended_at(traffic, {"acct_new"}), 2);
  EXPECT_EQ(suspended_at(traffic, {"acct_elsewhere", 99}), 3);  // all with the template are gone
  EXPECT_EQ(suspended_at(traffic, {"acct_other_purpose", 77, "writing"}), 0);
  EXPECT_EQ(suspended_at(traffic, {"acct_other_options", 77, "chat", 0.3}), 0);
  EXPECT_EQ(suspended_at(traffic, {"acct_with_questions", 77, "chat", 1, true}), 0);
}

TEST(Clusters, OfWhoCameAfterTheOthersEarlierRequestsCount) {
  Traffic traffic(honest_like(20), {}, joint_model());
  // Two accounts are no cluster by this model; the pool begins with the second one.
  traffic.address = 77;
  for (uint64_t i = 0; i < 30; ++i) traffic.take("acct_" + std::to_string(i % 2), i);
  ASSERT_EQ(traffic.detector().state("acct_1")->step, Step::watch);
  for (uint64_t i = 0; i < 30; ++i) traffic.take("acct_more_" + std::to_string(i % 6), 100 + i);
  ASSERT_EQ(traffic.detector().state("acct_more_5")->step, Step::suspend);
  traffic.take("acct_0", 500);
  traffic.take("acct_1", 501);
  EXPECT_EQ(traffic.detector().state("acct_0")->step, Step::watch);
  EXPECT_EQ(traffic.detector().state("acct_1")->step, Step::suspend);
}

TEST(Clusters, WhoFollowsTwoSuspendedAccountsInTheirPlaceAndGuiseIsAnHeir) {
  Model model = simple_model();
  model.cluster.trees.clear();
  model.cluster.bias = -20;  // no pool looks like a harvest
  Traffic traffic(honest_like(-7), {}, model);
  traffic.address = 55;
  const auto harvest = [&](const std::string& account, const std::string& words) {
    for (uint64_t i = 0; i < 60; ++i) {
      traffic.ask(account, "Write " + words + " about " + word(i) + ".");
    }
    return traffic.detector().state(account)->step;
  };
  const auto follow = [&](const std::string& account) {
    std::optional<Finding> found;
    for (uint64_t i = 0; i < 2; ++i) {
      EXPECT_FALSE(found);
      found = traffic.ask(account, chatter(traffic.asked() * 7));
    }
    return found;
  };
  ASSERT_EQ(harvest("acct_a", "a very long and careful essay"), Step::suspend);
  EXPECT_FALSE(follow("acct_1"));
  ASSERT_EQ(harvest("acct_b", "one more detailed encyclopedia article"), Step::suspend);
  const auto finding = follow("acct_2");
  ASSERT_TRUE(finding);
  const Evidence& evidence = evidence_of(*finding);
  ASSERT_TRUE(evidence.cluster);
  EXPECT_EQ(evidence.cluster->bond, Bond::network);
  EXPECT_EQ(evidence.cluster->suspended, 2);  // acct_2 itself counts for nobody
  EXPECT_TRUE(evidence.cluster->heir);
  EXPECT_GE(evidence.e_value, 1000);
  EXPECT_NE(json::dump(to_json(*finding)).find(R"("suspended":2)"), std::string::npos);
  EXPECT_NE(to_words(*finding).find("have been suspended"), std::string::npos);
  traffic.temperature = 0.3;
  EXPECT_FALSE(follow("acct_3"));
  traffic.temperature = 1;
  traffic.detector().forget("acct_a");  // reinstated
  EXPECT_FALSE(follow("acct_4"));
}

TEST(Clusters, WhoIsMostOfAPoolInheritsNothing) {
  Traffic traffic(honest_like(20), {}, joint_model());
  traffic.address = 77;
  traffic.take("acct_0", 0);
  for (uint64_t i = 1; i < 61; ++i) traffic.take("acct_much", i);
  for (uint64_t i = 0; i < 16; ++i) traffic.take("acct_" + std::to_string(i % 8), 100 + i);
  ASSERT_EQ(traffic.detector().state("acct_7")->step, Step::suspend);
  traffic.take("acct_much", 500);
  EXPECT_EQ(traffic.detector().state("acct_much")->step, Step::watch);
}

TEST(Clusters, TwoAccountsAreJudgedAndOneIsNot) {
  Traffic traffic(honest_like(20));
  traffic.address = 77;
  for (uint64_t i = 0; i < 40; ++i) traffic.take("acct_0", i);
  EXPECT_TRUE(traffic.detector().last_pools().empty());
  for (uint64_t i = 0; i < 40; ++i) traffic.take("acct_1", 100 + i);
  ASSERT_FALSE(traffic.detector().last_pools().empty());
  for (const Pool* pool : traffic.detector().last_pools()) EXPECT_GT(pool->wealth.total, -20);
}

TEST(Clusters, WhatItsAccountsAreLikeIsMeasured) {
  const auto features = [](double other_temperature, bool harvest) {
    Traffic traffic(honest_like(-9, 5));
    traffic.address = 77;
    for (uint64_t i = 0; i < 240; ++i) {
      traffic.temperature = i % 2 == 0 ? 1 : other_temperature;
      const std::string account = "acct_" + std::to_string(i % 4);
      harvest ? traffic.take(account, i) : traffic.ask(account, chatter(i));
    }
    return traffic.detector().last_pools().back()->features();
  };
  const Features alike = features(1, true), two_clients = features(0.3, true),
                 chats = features(1, false);
  EXPECT_FLOAT_EQ(at(alike, Feature::same_client), 1);
  EXPECT_LT(at(two_clients, Feature::same_client), 0.1);
  EXPECT_GT(at(alike, Feature::unusual), 2);
  EXPECT_FLOAT_EQ(at(chats, Feature::unusual), 0);
  EXPECT_GT(at(alike, Feature::harvest_like), 0.1);
  EXPECT_LT(at(chats, Feature::harvest_like), -0.3);
}

// When an account that chatted before is charged with the others' list: 0 for not with thirty.
int member_at(const Policy& policy, uint64_t chats) {
  // Five in a hundred honest accounts score higher: unusual, but not by what members need.
  Traffic traffic(honest_like(-5, 50), policy);
  for (uint64_t i = 0; i < 400; ++i) traffic.take("acct_" + std::to_string(i % 40), i);
  for (uint64_t i = 0; i < chats; ++i) traffic.ask("acct_new", chatter(i));
  for (uint64_t i = 1; i <= 30; ++i) {
    const auto finding = traffic.take("acct_new", 1000 + i);
    if (finding && std::get<Charge>(*finding).step == Step::suspend) return static_cast<int>(i);
  }
  return 0;
}

TEST(Clusters, OfFewRequestsInItsGuiseLessIsAskedOfAMember) {
  Policy policy;
  EXPECT_GT(member_at(policy, 10), 0);
  EXPECT_EQ(member_at(policy, 60), 0);
  policy.young_member_p = policy.member_p;
  EXPECT_EQ(member_at(policy, 10), 0);
}

TEST(Clusters, MemoryIsBounded) {
  EXPECT_LE(Clusters::bytes(), size_t{5} << 20);
}

}  // namespace
}  // namespace retort::detect
