// Ways round a withdrawal, each tried at run time. docs/internals/gate.md names them.
#include <functional>

#include "corpus/declarations.h"
#include "corpus/record_internal.h"
#include "corpus/shard_internal.h"
#include "corpus/testing_internal.h"
#include "corpus/withdrawals.h"
#include "store/database.h"

namespace retort::corpus {
namespace {

using testing::execute;
using testing::has;
using testing::Workshop;

std::string only_id(Workshop& shop, const std::string& kind) {
  std::string id;
  EXPECT_TRUE(shop.log
                  ->for_each(kind,
                             [&](const ledger::Entry& entry) -> Result<void> {
                               if (id.empty()) id = entry.name;
                               return {};
                             })
                  .ok());
  return id;
}

Withdrawal withdraw(Workshop& shop, Withdrawal one) {
  one.by = "N";
  const auto fit = check(*shop.log, one);
  EXPECT_TRUE(fit.ok()) << (fit ? "" : fit.error().text());
  one.entry = shop.log->append("withdrawal", name_of(one), to_json(one)).value_or(-1);
  return one;
}

// Three records under terms that have ended.
struct Ended : Workshop {
  explicit Ended(const std::string& name) : Workshop("withdrawn_" + name) {
    sealed(3);
    withdraw(*this, {.why = WithdrawalCase::account_ended,
                     .kind = SubjectKind::terms,
                     .id = only_id(*this, "terms")});
  }
  void expect_refused() {
    EXPECT_TRUE(has(refusal(), "withdrawn by N: account ended"));
    EXPECT_TRUE(has(refusal(), "records "));
  }
};

TEST(WithdrawnBypassTest, TheTermsFileIsLeftOutOrAnotherIsAdded) {
  Ended shop("left_out");
  shop.expect_refused();
  shop.terms = {};
  shop.expect_refused();
  shop.bind({.series = "generous"});
  shop.expect_refused();
  // A newer version of the same series that permits everything, back to the beginning.
  shop.bind({.version = "2", .time = "effective = 2026-05-01\nretroactive = \"yes\""});
  shop.expect_refused();
}

TEST(WithdrawnBypassTest, EveryOtherPathOfBytes) {
  Ended shop("paths");
  auto clearance = shop.clearance();
  EXPECT_FALSE(clearance.clear<Evaluate>(shop.selection()).ok());
  EXPECT_FALSE(clearance.clear<terms::Judge>(shop.selection()).ok());
  EXPECT_FALSE(clearance.clear<PublishModel>(shop.selection()).ok());
  EXPECT_FALSE(clearance.permit_export(shop.selection()).ok());
  const auto view = clearance.curate(shop.selection());
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->size(), 0) << "curation does not see them";
}

TEST(WithdrawnBypassTest, TheEntryIsEditedOrTakenOutOfTheLog) {
  const auto edited = [](const std::string& name, const std::string& sql) {
    Ended shop(name);
    execute(shop.path("ledger/log.db"), sql);
    const auto cleared = shop.clearance().clear<TrainGenerative>(shop.selection());
    ASSERT_FALSE(cleared.ok()) << name;
    EXPECT_EQ(cleared.error().code, ErrorCode::bad_input) << name;
  };
  edited("edited",
         "UPDATE entries SET entry = replace(entry, 'account-ended', 'terms-changed') "
         "WHERE kind = 'withdrawal'");
  edited("renamed", "UPDATE entries SET kind = 'note' WHERE kind = 'withdrawal'");
  edited("taken_out", "DELETE FROM entries WHERE kind = 'withdrawal'");
  // With its checkpoint and hashes as well: what was published knows of it.
  edited("rolled_back",
         "DELETE FROM checkpoints WHERE size > (SELECT idx FROM entries WHERE kind = "
         "'withdrawal'); DELETE FROM entries WHERE kind = 'withdrawal'");
}

TEST(WithdrawnBypassTest, ACopyCuratedBefore) {
  Workshop shop("curated_before");
  shop.sealed(3);
  auto before = shop.clearance();
  const auto view = before.curate(shop.selection());
  ASSERT_TRUE(view.ok());
  DerivedWriter writer(*view, *shop.log, {.folder = shop.path("curated")}, "curate");
  for (int64_t row = 0; row < 3; ++row) writer.keep(view->parent(row), "train");
  ASSERT_TRUE(writer.finish().ok());
  const Selection curated{.folder = shop.path("curated"), .split = "train", .path_label = "t"};
  ASSERT_TRUE(before.clear<TrainGenerative>(curated).ok());
  withdraw(shop, {.why = WithdrawalCase::account_ended,
                  .kind = SubjectKind::terms,
                  .id = only_id(shop, "terms")});
  // The same clearance asks the log anew each time.
  EXPECT_FALSE(before.clear<TrainGenerative>(curated).ok());
  // Whoever read them before may write them once more, and that is all.
  DerivedWriter again(*view, *shop.log, {.folder = shop.path("again")}, "curate");
  for (int64_t row = 0; row < 3; ++row) again.keep(view->parent(row), "train");
  ASSERT_TRUE(again.finish().ok());
  EXPECT_FALSE(shop.clearance()
                   .clear<TrainGenerative>(
                       {.folder = shop.path("again"), .split = "train", .path_label = "t"})
                   .ok());
}

TEST(WithdrawnBypassTest, MergedWithARecordThatIsFree) {
  Workshop shop("merged");
  auto gathering = shop.gathering();
  shop.gather(*gathering, 0, 1, shop.bind({.series = "alpha"}));
  shop.gather(*gathering, 1, 1, shop.bind({.series = "beta"}));
  shop.seal(*gathering);
  auto clearance = shop.clearance();
  const auto view = clearance.curate(shop.selection());
  ASSERT_TRUE(view.ok());
  DerivedWriter writer(*view, *shop.log, {.folder = shop.path("merged")}, "merge");
  writer.add(Parents(view->parent(1)).and_also(view->parent(0)), {.answer = "both", .split = "t"});
  ASSERT_TRUE(writer.finish().ok());
  const Selection merged{.folder = shop.path("merged"), .split = "", .path_label = "t"};
  ASSERT_TRUE(clearance.clear<TrainGenerative>(merged).ok());
  const std::string alpha = testing::terms_of({.series = "alpha"}).id;
  withdraw(shop, {.why = WithdrawalCase::account_ended, .kind = SubjectKind::terms, .id = alpha});
  const auto refused = clearance.clear<TrainGenerative>(merged);
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(has(refused.error().text(), alpha.substr(0, 16)));
}

TEST(WithdrawnBypassTest, TheWithdrawnRecordIsGatheredOnceMore) {
  Workshop shop("again");
  const std::string path = shop.sealed(2).shards.at(0);
  const auto index = *ShardIndex::load(*shop.log);
  CodeBook codes(*shop.log);
  const auto read = *read_shard(*Shard::open(path), index, codes);
  withdraw(shop, {.why = WithdrawalCase::record,
                  .kind = SubjectKind::record,
                  .id = read.entry.digest + ":0",
                  .key = read.records[0].key});
  ASSERT_TRUE(base::remove_all(shop.database()).ok());
  ASSERT_TRUE(base::remove_all(shop.shards()).ok());
  shop.sealed(2);
  EXPECT_TRUE(has(shop.refusal(), "of 1 of 2 records"));
}

TEST(WithdrawnBypassTest, TheClockIsSetBackBeforeTheChange) {
  Workshop shop("clock");
  const auto bound = shop.bind({});
  withdraw(shop, {.why = WithdrawalCase::terms_changed,
                  .kind = SubjectKind::terms,
                  .id =
                      [&] {
                        CodeBook codes(*shop.log);
                        EXPECT_TRUE(codes.log_terms(shop.terms).ok());
                        return bound[0].id;
                      }(),
                  .from_ms = testing::kNow_ms});
  auto gathering = shop.gathering();
  // A day earlier, says the machine; the gathering never dates an answer before its own beginning.
  shop.clock.sleep_ms(-86'400'000);
  shop.gather(*gathering, 0, 2, bound);
  shop.clock.sleep_ms(86'400'000);
  shop.seal(*gathering);
  EXPECT_TRUE(has(shop.refusal(), "terms changed from"));
}

TEST(WithdrawnBypassTest, ACorrectedReadingIsCorrectedOnceMore) {
  Workshop shop("chain");
  shop.sealed(2, {.series = "alpha"});
  const std::string wrong = testing::terms_of({.series = "alpha"}).id;
  const auto strict = testing::terms_of({.series = "strict", .forbidden = "train.generative"});
  const auto generous = testing::terms_of({.series = "generous"});
  ASSERT_TRUE(log_reading(*shop.log, strict).ok());
  ASSERT_TRUE(log_reading(*shop.log, generous).ok());
  withdraw(shop, {.why = WithdrawalCase::reading_corrected,
                  .kind = SubjectKind::terms,
                  .id = wrong,
                  .corrected_by = strict.id});
  EXPECT_TRUE(has(shop.refusal(), "strict 1: prohibit"));
  withdraw(shop, {.why = WithdrawalCase::reading_corrected,
                  .kind = SubjectKind::terms,
                  .id = strict.id,
                  .corrected_by = generous.id});
  EXPECT_TRUE(has(shop.refusal(), "strict 1: prohibit")) << "unsigned, it only adds";
}

// A decider's signature is what lets a correction loosen; a withdrawn declaration lets nothing.
TEST(WithdrawnBypassTest, ADeclarationAfterItsWithdrawal) {
  Workshop shop("declaration");
  const auto counsel = *crypto::EcSigningKey::generate();
  shop.deciders = {counsel.public_key()};
  const testing::TermsText competing{
      .more =
          "[[rule]]\neffect = \"prohibit\"\naction = \"train.generative\"\nscope = "
          "\"competing\"\nobject = \"outputs\"\nclause = \"2.3\"\ntext = \"no rival\"\n"};
  shop.sealed(2, competing);
  const auto bound = testing::terms_of(competing);
  const auto text = *terms::draft_declaration({.declarant = "C. Ounsel",
                                               .role = "counsel",
                                               .model_id = "student",
                                               .statement = "It competes with nothing of theirs.",
                                               .valid_until = "2026-12-31",
                                               .max_records = 10},
                                              {&bound});
  const auto envelope =
      terms::envelope_json(crypto::sign_envelope(crypto::kInTotoPayload, text, counsel));
  const auto declared = log_declaration(*shop.log, envelope, shop.deciders, "d.json");
  ASSERT_TRUE(declared.ok()) << declared.error().text();
  EXPECT_EQ(shop.refusal(), "");
  withdraw(shop, {.why = WithdrawalCase::declaration_ended,
                  .kind = SubjectKind::declaration,
                  .id = declared->declaration.id});
  EXPECT_TRUE(has(shop.refusal(), "the declaration"));
  EXPECT_TRUE(has(shop.refusal(), "withdrawn by N"));
  // Signed and logged once more, the same words stay withdrawn.
  const auto once_more =
      terms::envelope_json(crypto::sign_envelope(crypto::kInTotoPayload, text, counsel));
  ASSERT_TRUE(log_declaration(*shop.log, once_more, shop.deciders, "d.json").ok());
  EXPECT_NE(shop.refusal(), "");
}

}  // namespace
}  // namespace retort::corpus
