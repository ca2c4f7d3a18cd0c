#include "corpus/facts.h"

#include "corpus/testing_internal.h"

namespace retort::corpus {
namespace {

using testing::kNow_ms;
using testing::Workshop;

std::vector<int64_t> shard_entries(ledger::Ledger& log) {
  std::vector<int64_t> out;
  EXPECT_TRUE(log.for_each("shard",
                           [&out](const ledger::Entry& entry) -> Result<void> {
                             out.push_back(entry.index);
                             return {};
                           })
                  .ok());
  return out;
}

TEST(FactsTest, AShardSaysUnderWhichTermsAndThroughWhichDoorItCame) {
  Workshop shop("facts");
  const auto sealed = shop.sealed(5);
  ASSERT_EQ(sealed.shards.size(), 1U);
  const auto uses = uses_of_shards(*shop.log, shard_entries(*shop.log));
  ASSERT_TRUE(uses.ok()) << uses.error().text();
  ASSERT_EQ(uses->size(), 1U);
  const LoggedUse& use = (*uses)[0];
  EXPECT_EQ(use.records, 5);
  EXPECT_EQ(use.facts.endpoint, "https://example.com/v1");
  EXPECT_EQ(use.facts.plan, "paid");
  EXPECT_EQ(use.facts.models, std::vector<std::string>{"m-1"});
  EXPECT_EQ(use.facts.object, terms::Object::outputs);
  EXPECT_EQ(use.facts.captured_ms, kNow_ms);
  EXPECT_EQ(use.label, "answers of m-1 through https://example.com/v1 (plan paid)");
  const auto terms = logged_terms(*shop.log, {});
  ASSERT_TRUE(terms.ok());
  EXPECT_NE(terms->find(use.facts.terms.at(0).id), nullptr);
  // Two shards of one door are one use.
  auto twice = shard_entries(*shop.log);
  twice.push_back(twice[0]);
  EXPECT_EQ(uses_of_shards(*shop.log, twice)->at(0).records, 10);
}

TEST(FactsTest, ARecordIsFoundByItsRow) {
  Workshop shop("record_facts");
  const auto sealed = shop.sealed(3);
  const auto use = uses_of_record(*shop.log, sealed.shards[0], 2);
  ASSERT_TRUE(use.ok()) << use.error().text();
  ASSERT_EQ(use->size(), 1U);
  EXPECT_EQ(use->at(0).records, 1);
  EXPECT_EQ(use->at(0).facts.models, (std::vector<std::string>{"m-1", "m-1-0601"}));
  EXPECT_EQ(use->at(0).facts.captured_ms, kNow_ms);
  EXPECT_EQ(uses_of_record(*shop.log, sealed.shards[0], 3).error().code, ErrorCode::not_found);
  EXPECT_EQ(uses_of_record(*shop.log, sealed.shards[0], -1).error().code, ErrorCode::not_found);
  ASSERT_TRUE(base::write_file_atomic(sealed.shards[0], "no shard").ok());
  EXPECT_FALSE(uses_of_record(*shop.log, sealed.shards[0], 0).ok());
}

TEST(FactsTest, APurposeIsReadAsItWasWritten) {
  const auto read = [](const std::string& text) {
    return purpose_from_json(*json::parse(text, "t"), "entry 1");
  };
  const auto purpose = read(
      R"({"actions": ["store", "train.generative"], "model_id": "m", "distributed": true,
          "commercial": false, "competing": false})");
  ASSERT_TRUE(purpose.ok()) << purpose.error().text();
  EXPECT_TRUE(purpose->allows(terms::Action::train_generative));
  EXPECT_FALSE(purpose->allows(terms::Action::evaluate));
  EXPECT_TRUE(purpose->distributed);
  EXPECT_FALSE(purpose->commercial);
  EXPECT_EQ(purpose->competing, std::optional<bool>(false));
  EXPECT_FALSE(read(R"({"actions": ["fly"]})").ok());
  EXPECT_FALSE(read(R"({"actions": [1]})").ok());
  EXPECT_FALSE(read(R"({})").ok());
}

}  // namespace
}  // namespace retort::corpus
