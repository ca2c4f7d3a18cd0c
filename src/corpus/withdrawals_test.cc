// What a withdrawal takes away, case by case, and what it leaves.
#include "corpus/withdrawals.h"

#include "corpus/record_internal.h"
#include "corpus/shard_internal.h"
#include "corpus/testing_internal.h"

namespace retort::corpus {
namespace {

using testing::has;
using testing::TermsText;
using testing::Workshop;

int64_t log_withdrawal(Workshop& shop, const Withdrawal& one) {
  const auto fit = check(*shop.log, one);
  EXPECT_TRUE(fit.ok()) << (fit ? "" : fit.error().text());
  return shop.log->append("withdrawal", name_of(one), to_json(one)).value_or(-1);
}

Withdrawal of_terms(WithdrawalCase why, const std::string& id) {
  return {.why = why, .kind = SubjectKind::terms, .id = id, .reason = "so it is", .by = "N"};
}

// Ids of the terms that the log has, by series.
std::string id_of(Workshop& shop, const std::string& series) {
  std::string id;
  EXPECT_TRUE(shop.log
                  ->for_each("terms",
                             [&](const ledger::Entry& entry) -> Result<void> {
                               if (*entry.body.string_at("series") == series) id = entry.name;
                               return {};
                             })
                  .ok());
  return id;
}

// How many records are left for training once curation has had its turn.
int64_t left(Workshop& shop, int64_t* withdrawn = nullptr) {
  auto clearance = shop.clearance();
  const auto view = clearance.curate(shop.selection("curate"));
  EXPECT_TRUE(view.ok()) << (view ? "" : view.error().text());
  if (withdrawn != nullptr) *withdrawn = view->withdrawn();
  DerivedWriter writer(*view, *shop.log, {.folder = shop.path("curated")}, "curate");
  for (int64_t row = 0; row < view->size(); ++row) writer.keep(view->parent(row), "train");
  EXPECT_TRUE(writer.finish().ok());
  if (view->size() == 0) return 0;
  const auto cleared = clearance.clear<TrainGenerative>(
      {.folder = shop.path("curated"), .split = "train", .path_label = "test"});
  EXPECT_TRUE(cleared.ok()) << (cleared ? "" : cleared.error().text());
  return cleared ? cleared->size() : -1;
}

TEST(WithdrawalTest, AnEndedAccountTakesEveryRecordAndLeavesThoseOfOthers) {
  Workshop shop("ended");
  auto gathering = shop.gathering();
  shop.gather(*gathering, 0, 3, shop.bind({.series = "alpha"}));
  shop.gather(*gathering, 3, 2, shop.bind({.series = "beta"}));
  shop.seal(*gathering);
  EXPECT_EQ(shop.refusal(), "");
  const int64_t entry =
      log_withdrawal(shop, of_terms(WithdrawalCase::account_ended, id_of(shop, "alpha")));
  const std::string said = shop.refusal();
  EXPECT_TRUE(has(said, "do not permit train.generative of 3 of 5 records"));
  EXPECT_TRUE(has(said, "were withdrawn by N: account ended, so it is (entry " +
                            std::to_string(entry) + ", of 2026-06-01)"));
  EXPECT_TRUE(has(said, "retort curate"));
  int64_t withdrawn = 0;
  EXPECT_EQ(left(shop, &withdrawn), 2);
  EXPECT_EQ(withdrawn, 3);
  // The same again is the same entry.
  EXPECT_EQ(log_withdrawal(shop, of_terms(WithdrawalCase::account_ended, id_of(shop, "alpha"))),
            entry);
}

TEST(WithdrawalTest, AProspectiveChangeLeavesWhatWasCapturedBefore) {
  Workshop shop("changed");
  auto gathering = shop.gathering();
  const auto bound = shop.bind({});
  shop.gather(*gathering, 0, 3, bound);
  shop.clock.sleep_ms(int64_t{10} * 86'400'000);
  shop.gather(*gathering, 3, 2, bound);
  shop.seal(*gathering);
  auto change = of_terms(WithdrawalCase::terms_changed, bound[0].id);
  change.from_ms = testing::kNow_ms + int64_t{5} * 86'400'000;
  log_withdrawal(shop, change);
  EXPECT_TRUE(has(shop.refusal(), "train.generative of 2 of 5 records"));
  EXPECT_EQ(left(shop), 3);
}

TEST(WithdrawalTest, ACorrectedReadingJudgesTheRecordsAgain) {
  Workshop shop("corrected");
  auto gathering = shop.gathering();
  shop.gather(*gathering, 0, 3, shop.bind({.series = "alpha"}));
  shop.gather(*gathering, 3, 2, shop.bind({.series = "beta"}));
  shop.seal(*gathering);
  const auto right = testing::terms_of({.series = "alpha.again", .forbidden = "train.generative"});
  ASSERT_TRUE(log_reading(*shop.log, right).ok());
  auto correction = of_terms(WithdrawalCase::reading_corrected, id_of(shop, "alpha"));
  correction.corrected_by = right.id;
  log_withdrawal(shop, correction);
  EXPECT_TRUE(has(shop.refusal(), "alpha.again 1: prohibit train.generative"));
  EXPECT_EQ(left(shop), 2);
}

// An unsigned reading that permits more does not open what the first one forbids.
TEST(WithdrawalTest, ACorrectionLoosensNothingUnsigned) {
  Workshop shop("loosened");
  shop.sealed(2, {.series = "alpha", .forbidden = "train.generative"});
  const auto generous = testing::terms_of({.series = "alpha.again"});
  ASSERT_TRUE(log_reading(*shop.log, generous).ok());
  auto correction = of_terms(WithdrawalCase::reading_corrected, id_of(shop, "alpha"));
  correction.corrected_by = generous.id;
  log_withdrawal(shop, correction);
  EXPECT_TRUE(has(shop.refusal(), "alpha 1: prohibit train.generative"));
}

TEST(WithdrawalTest, ADoorEndsForItsOwnRecordsAndForWhatWouldBeGathered) {
  Workshop shop("door");
  const auto bound = shop.bind({});
  auto gathering = shop.gathering();
  shop.gather(*gathering, 0, 3, bound);
  shop.seal(*gathering);
  std::string door;
  ASSERT_TRUE(shop.log
                  ->for_each("door",
                             [&](const ledger::Entry& entry) -> Result<void> {
                               door = entry.name;
                               return {};
                             })
                  .ok());
  const auto facts = facts_of(testing::request(0, bound)).at(0);
  auto now = facts;
  now.captured_ms = shop.clock.wall_ms();
  EXPECT_TRUE(shop.clearance().refuse_withdrawn(now).ok());
  log_withdrawal(
      shop,
      {.why = WithdrawalCase::account_ended, .kind = SubjectKind::door, .id = door, .by = "N"});
  EXPECT_TRUE(has(shop.refusal(), "the door " + door.substr(0, 16) + " was withdrawn"));
  const auto stopped = shop.clearance().refuse_withdrawn(now);
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, ErrorCode::refused_by_terms);
  EXPECT_FALSE(shop.clearance().preview(now).permits());
  // The same place asked for another model is another door.
  auto other = now;
  other.models = {"m-2"};
  EXPECT_TRUE(shop.clearance().refuse_withdrawn(other).ok());
}

TEST(WithdrawalTest, OneRecordGoesWithWhatWasDerivedFromIt) {
  Workshop shop("one_record");
  const std::string path = shop.sealed(3).shards.at(0);
  EXPECT_EQ(left(shop), 3);
  const auto index = *ShardIndex::load(*shop.log);
  CodeBook codes(*shop.log);
  const auto read = *read_shard(*Shard::open(path), index, codes);
  log_withdrawal(shop, {.why = WithdrawalCase::record,
                        .kind = SubjectKind::record,
                        .id = read.entry.digest + ":1",
                        .key = read.records[1].key,
                        .by = "N"});
  EXPECT_TRUE(has(shop.refusal(), "train.generative of 1 of 3 records"));
  EXPECT_TRUE(has(shop.refusal(), read.records[1].key.substr(0, 16)));
  // The curated copy has another key and names the record as its parent.
  const auto derived = shop.clearance().clear<TrainGenerative>(
      {.folder = shop.path("curated"), .split = "train", .path_label = "test"});
  ASSERT_FALSE(derived.ok());
  EXPECT_TRUE(has(derived.error().text(), "1 of 3 records"));
  EXPECT_EQ(left(shop), 2);
}

TEST(WithdrawalTest, WeightsUnderEndedTermsAreRefused) {
  Workshop shop("weights");
  const std::string file = shop.path("base.gguf");
  ASSERT_TRUE(base::write_file_atomic(file, "weights").ok());
  const std::string toml = shop.write_terms({.series = "licence"});
  ASSERT_TRUE(shop.clearance().clear_weights<TrainGenerative>(file, "b", {toml}).ok());
  auto change = of_terms(WithdrawalCase::terms_changed, id_of(shop, "licence"));
  change.from_ms = testing::kNow_ms + 1;
  log_withdrawal(shop, change);
  shop.clock.sleep_ms(10);
  // They were here before the change.
  EXPECT_TRUE(shop.clearance().clear_weights<TrainGenerative>(file, "b", {toml}).ok());
  const std::string later = shop.path("later.gguf");
  ASSERT_TRUE(base::write_file_atomic(later, "others").ok());
  EXPECT_FALSE(shop.clearance().clear_weights<TrainGenerative>(later, "b", {toml}).ok());
  log_withdrawal(shop, of_terms(WithdrawalCase::account_ended, id_of(shop, "licence")));
  EXPECT_FALSE(shop.clearance().clear_weights<TrainGenerative>(file, "b", {toml}).ok());
}

TEST(WithdrawalTest, WhatDoesNotFitIsRefused) {
  Workshop shop("unfit");
  shop.sealed(1, {.series = "alpha"});
  const std::string id = id_of(shop, "alpha");
  EXPECT_EQ(check(*shop.log, of_terms(WithdrawalCase::record, id)).error().code, ErrorCode::usage);
  EXPECT_EQ(check(*shop.log, of_terms(WithdrawalCase::account_ended, "0123")).error().code,
            ErrorCode::not_found);
  EXPECT_FALSE(check(*shop.log, of_terms(WithdrawalCase::reading_corrected, id)).ok());
  auto unknown = of_terms(WithdrawalCase::reading_corrected, id);
  unknown.corrected_by = std::string(64, '1');
  EXPECT_EQ(check(*shop.log, unknown).error().code, ErrorCode::not_found);
  auto nobody = of_terms(WithdrawalCase::account_ended, id);
  nobody.by = "";
  EXPECT_FALSE(check(*shop.log, nobody).ok());
}

// A newer program's withdrawal must not pass for none.
TEST(WithdrawalTest, ANewerFormClosesTheGate) {
  Workshop shop("newer");
  shop.sealed(1, {.series = "alpha"});
  auto body = to_json(of_terms(WithdrawalCase::account_ended, id_of(shop, "alpha")));
  body.set("schema", "retort.withdrawal/2");
  ASSERT_TRUE(shop.log->append("withdrawal", "w", body).ok());
  EXPECT_TRUE(has(shop.refusal(), "newer program"));
  const auto read = read_withdrawals(*shop.log);
  ASSERT_FALSE(read.ok());
}

}  // namespace
}  // namespace retort::corpus
