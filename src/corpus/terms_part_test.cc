#include "corpus/terms_part.h"

#include <gtest/gtest.h>

#include <set>

#include "corpus/testing_internal.h"

namespace retort::corpus {
namespace {

terms::Terms terms_of(const std::string& id, const std::string& mode) {
  terms::Terms terms;
  terms.id = id;
  terms.series = "series-" + id;
  terms.version = "1";
  terms.revocation = mode;
  return terms;
}

Record record_under(const std::vector<std::string>& ids) {
  Record record;
  for (const auto& id : ids) record.terms.push_back({.id = id});
  return record;
}

terms::TermsSet known() {
  terms::TermsSet set;
  set.add(terms_of("d", "irrevocable"));
  set.add(terms_of("c", "on-breach"));
  set.add(terms_of("b", "prospective"));
  set.add(terms_of("a", "unstated"));
  return set;
}

std::string order(const std::vector<std::string>& ids) {
  return terms_part(record_under(ids), known()).order;
}

TEST(TermsPart, TheFirmestPermissionComesFirst) {
  EXPECT_LT(order({"d"}), order({"c"}));
  EXPECT_LT(order({"c"}), order({"b"}));
  EXPECT_LT(order({"b"}), order({"a"}));
  EXPECT_LT(order({"d"}), order({"unknown"}));
  EXPECT_LT(order({"d"}), order({}));
}

TEST(TermsPart, TheLeastFirmOfSeveralTermsCounts) {
  EXPECT_LT(order({"c"}), order({"d", "b"}));
  EXPECT_LT(order({"b"}), order({"d", "unknown"}));
}

TEST(TermsPart, OfEquallyFirmPermissionThatUnderFewerTermsComesFirst) {
  terms::TermsSet set = known();
  set.add(terms_of("0", "irrevocable"));
  const auto part = [&](const std::vector<std::string>& ids) {
    return terms_part(record_under(ids), set).order;
  };
  EXPECT_LT(part({"d"}), part({"0", "d"}));
  EXPECT_LT(part({"0"}), part({"d"}));
}

TEST(TermsPart, EqualSetsAreOnePartInWhicheverOrderTheyStand) {
  const auto one = terms_part(record_under({"d", "b", "d"}), known());
  const auto two = terms_part(record_under({"b", "d"}), known());
  EXPECT_EQ(one.order, two.order);
  EXPECT_EQ(one.ids, (std::vector<std::string>{"b", "d"}));
  EXPECT_EQ(one.label, "series-b 1 + series-d 1");
  EXPECT_NE(order({"d"}), order({"d", "c"}));
}

TermsPartOf part_of(const terms::TermsSet& terms) {
  return [&terms](const Record& record) { return terms_part(record, terms); };
}

// Records of three doors, under two sets of terms.
TEST(TermsPart, TheShardsOfAPartHoldItsRecordsAndNoOthers) {
  testing::Workshop shop("shards_by_part");
  auto gathering = shop.gathering();
  shop.gather(*gathering, 0, 3, shop.bind({.series = "alpha"}));
  shop.gather(*gathering, 3, 2, shop.bind({.series = "beta"}));
  shop.gather(*gathering, 5, 2, shop.bind({.series = "alpha"}));
  shop.seal(*gathering, /*records_per_shard=*/2);
  const auto parts = shards_by_part(*shop.log, shop.shards(), shop.terms);
  ASSERT_TRUE(parts.ok()) << parts.error().text();
  ASSERT_EQ(parts->size(), 2u);
  std::set<std::string> digests;
  for (const auto& part : *parts) {
    auto selection = shop.selection();
    selection.shards = part.shards;
    const auto cleared = shop.clearance().clear<TrainGenerative>(selection);
    ASSERT_TRUE(cleared.ok()) << cleared.error().text();
    EXPECT_EQ(cleared->size(), part.part.label == "alpha 1" ? 5 : 2);
    for (const auto& record : cleared->records()) {
      EXPECT_EQ(part_of(shop.terms)(record).order, part.part.order);
    }
    EXPECT_EQ(cleared->permit().shards.size(), part.shards.size());
    digests.insert(cleared->digest());
    // Leave to write out asks about these alone as well, by their columns.
    const auto permit = shop.clearance().permit_export(selection);
    ASSERT_TRUE(permit.ok()) << permit.error().text();
    EXPECT_EQ(permit->permit().records, cleared->size());
  }
  digests.insert(shop.clearance().clear<TrainGenerative>(shop.selection())->digest());
  EXPECT_EQ(digests.size(), 3u);
}

TEST(TermsPart, AShardThatIsNotThereIsNotPassedOver) {
  testing::Workshop shop("shards_missing");
  shop.sealed(2);
  auto selection = shop.selection();
  selection.shards = {std::string(64, 'a')};
  const auto cleared = shop.clearance().clear<TrainGenerative>(selection);
  ASSERT_FALSE(cleared.ok());
  EXPECT_TRUE(testing::has(cleared.error().text(), "1 of 1 shards are missing"));
  testing::Workshop other("shards_of_another_log");
  EXPECT_FALSE(shards_by_part(*other.log, shop.shards(), shop.terms).ok());
}

// What is refused in one part does not pass because another is permitted.
TEST(TermsPart, ARefusedPartIsRefusedByItself) {
  testing::Workshop shop("shards_refused");
  auto gathering = shop.gathering();
  shop.gather(*gathering, 0, 2, shop.bind({.series = "alpha"}));
  shop.gather(*gathering, 2, 2, shop.bind({.series = "beta", .forbidden = "train.generative"}));
  shop.seal(*gathering);
  const auto parts = shards_by_part(*shop.log, shop.shards(), shop.terms);
  ASSERT_EQ(parts->size(), 2u);
  for (const auto& part : *parts) {
    auto selection = shop.selection();
    selection.shards = part.shards;
    EXPECT_EQ(shop.clearance().clear<TrainGenerative>(selection).ok(),
              part.part.label == "alpha 1");
  }
}

}  // namespace
}  // namespace retort::corpus
