#include "corpus/clearance.h"

#include <type_traits>

#include "corpus/record_internal.h"
#include "corpus/testing_internal.h"

namespace retort::corpus {
namespace {

using testing::any_purpose;
using testing::has;
using testing::TermsText;
using testing::Workshop;

static_assert(!std::is_copy_constructible_v<Cleared<TrainGenerative>>);
static_assert(!std::is_copy_constructible_v<ClearedWeights<TrainGenerative>>);
static_assert(!std::is_copy_constructible_v<ExportPermit>);
static_assert(!std::is_default_constructible_v<Cleared<TrainGenerative>>);
static_assert(!std::is_constructible_v<Cleared<TrainGenerative>, Cleared<Evaluate>>);
static_assert(!std::is_default_constructible_v<Parents>);

json::Value last_verdict(Workshop& shop) {
  json::Value body;
  EXPECT_TRUE(shop.log
                  ->for_each("verdict",
                             [&](const ledger::Entry& entry) -> Result<void> {
                               body = entry.body;
                               return {};
                             })
                  .ok());
  return body;
}

TEST(ClearanceTest, PermitsAndLogsWithWhatItWasAbout) {
  Workshop shop("permits");
  const auto report = shop.sealed(5);
  auto clearance = shop.clearance();
  const auto cleared = clearance.clear<TrainGenerative>(shop.selection("optimizer"));
  ASSERT_TRUE(cleared.ok()) << cleared.error().text();
  EXPECT_EQ(cleared->size(), 5);
  EXPECT_EQ((*cleared)[2].answer, testing::answer(2).text);
  EXPECT_EQ((*cleared)[2].messages, testing::request(2, {}).messages);
  const auto& permit = cleared->permit();
  EXPECT_EQ(permit.decision, terms::Decision::permit);
  EXPECT_EQ(permit.records, 5);
  ASSERT_EQ(permit.shards.size(), 1u);
  EXPECT_EQ(permit.terms_ids, std::vector<std::string>{shop.terms.all()[0]->id});
  const auto entry = *shop.log->entry(permit.leaf);
  EXPECT_EQ(entry.kind, "verdict");
  EXPECT_EQ(*entry.body.string_at("decision"), "permit");
  EXPECT_EQ(*entry.body.string_at("path"), "optimizer");
  EXPECT_EQ(*entry.body.string_at("digest"), cleared->digest());
  EXPECT_EQ(entry.body.find("shards")->as_array()[0].as_string(), permit.shards[0]);
  EXPECT_EQ(*entry.body.find("purpose")->string_at("model_id"), "student");
  EXPECT_TRUE(shop.log->verify().ok());
}

TEST(ClearanceTest, RefusalNamesClauseCountAndFirstKeysAndIsLogged) {
  Workshop shop("refusal");
  auto gathering = shop.gathering();
  shop.gather(*gathering, 0, 3, shop.bind({}));
  shop.gather(*gathering, 3, 4, shop.bind({.series = "strict", .forbidden = "train.generative"}));
  shop.seal(*gathering);
  const auto cleared = shop.clearance().clear<TrainGenerative>(shop.selection());
  ASSERT_FALSE(cleared.ok());
  EXPECT_EQ(cleared.error().code, ErrorCode::refused_by_terms);
  const std::string text = cleared.error().text();
  EXPECT_TRUE(has(text, "strict 1: prohibit train.generative (7.2 “words on train.generative”)"));
  EXPECT_TRUE(has(text, "4 of 7 records"));
  EXPECT_TRUE(has(text, record_key(testing::request(3, {})).substr(0, 16)));
  EXPECT_TRUE(has(text, "and 1 more"));
  const auto body = last_verdict(shop);
  EXPECT_EQ(*body.string_at("decision"), "deny");
  EXPECT_EQ(*body.int_at("refused"), 4);
  EXPECT_EQ(body.find("findings")->as_array()[0].find("first_keys")->as_array().size(), 3u);
  // What is allowed with them still is.
  EXPECT_TRUE(shop.clearance().clear<Evaluate>(shop.selection()).ok());
}

TEST(ClearanceTest, DeniesByDefault) {
  const auto refused = [](const std::string& name, const TermsText& text, int64_t now_ms,
                          const std::string& word) {
    Workshop shop("denies_" + name);
    shop.clock.sleep_ms(now_ms - testing::kNow_ms);
    shop.sealed(2, text);
    EXPECT_TRUE(has(shop.refusal(), word)) << name;
    EXPECT_EQ(*last_verdict(shop).string_at("decision"), "deny");
  };
  const int64_t now_ms = testing::kNow_ms;
  refused("expired", {.time = "effective = 2025-01-01\nuntil = 2026-01-01"}, now_ms,
          "they ended on 2026-01-01");
  refused("early", {.time = "effective = 2027-01-01"}, now_ms, "come into force on 2027-01-01");
  refused("forbidden", {.forbidden = "train.generative"}, now_ms, "prohibit");
  refused("object", {.object = "texts"}, now_ms, "no clause permits");
  refused("door", {.more = "[applies]\nendpoints = [\"https://other.example/*\"]\n"}, now_ms,
          "outside their endpoints");

  Workshop none("denies_none");
  auto gathering = none.gathering();
  none.gather(*gathering, 0, 2, {});
  none.seal(*gathering);
  EXPECT_TRUE(has(none.refusal(), "there are no terms"));
}

TEST(ClearanceTest, ThePurposeMustNameTheAction) {
  Workshop shop("purpose");
  shop.sealed(2);
  EXPECT_TRUE(has(shop.refusal({.actions = {terms::Action::store}, .model_id = "m"}),
                  "the purpose does not name train.generative"));
  EXPECT_TRUE(has(shop.refusal({.actions = terms::all_actions()}), "names no model"));
  // Even where no record is concerned.
  auto clearance = shop.clearance({.actions = {terms::Action::store}, .model_id = "m"});
  auto selection = shop.selection();
  selection.split = "none";
  EXPECT_EQ(clearance.clear<Evaluate>(selection).error().code, ErrorCode::refused_by_terms);
  const auto empty = shop.clearance().clear<Evaluate>(selection);
  ASSERT_TRUE(empty.ok()) << empty.error().text();
  EXPECT_EQ(empty->size(), 0);
}

TEST(ClearanceTest, ASignalOnTheAnswerDenies) {
  Workshop shop("signal");
  auto gathering = shop.gathering();
  ASSERT_TRUE(gathering->plan({testing::request(0, shop.bind({}))}).ok());
  Answer answer = testing::answer(0);
  answer.preference = terms::Preference::no;
  ASSERT_TRUE(gathering->commit(gathering->claim(1)->at(0), answer).ok());
  shop.seal(*gathering);
  EXPECT_TRUE(has(shop.refusal(), "not to be used for AI training"));
  EXPECT_TRUE(shop.clearance().curate(shop.selection()).ok()) << "keeping it is no use of it";
}

TEST(ClearanceTest, TextsAreThoseOfTheRecordsAndOutliveThem) {
  Workshop shop("texts");
  shop.sealed(2);
  std::optional<terms::ClearedText<TrainGenerative>> all;
  {
    const auto cleared = shop.clearance().clear<TrainGenerative>(shop.selection());
    ASSERT_TRUE(cleared.ok());
    all.emplace(Clearance::text(*cleared));
    const auto answers = Clearance::text(*cleared, Clearance::Part::answers);
    ASSERT_EQ(answers.size(), 2);
    EXPECT_EQ(answers[1], testing::answer(1).text);
    EXPECT_EQ(Clearance::text(*cleared, Clearance::Part::messages)[0], "Tell of thing 0.");
  }
  ASSERT_EQ(all->size(), 4);
  EXPECT_EQ((*all)[1], testing::answer(0).text);
}

TEST(ClearanceTest, DigestNamesTheRecords) {
  Workshop shop("digest");
  shop.sealed(2);
  auto clearance = shop.clearance();
  const auto first = clearance.clear<TrainGenerative>(shop.selection());
  const auto second = clearance.clear<Evaluate>(shop.selection());
  EXPECT_EQ(first->digest(), second->digest());
  auto part = shop.selection();
  part.split = "train";
  EXPECT_NE(clearance.clear<Evaluate>(part)->digest(), first->digest());
}

TEST(ClearanceTest, PreviewSaysWhatAClearanceWouldAndLogsNothing) {
  Workshop shop("preview");
  Origin origin;
  origin.captured_ms = testing::kNow_ms;
  origin.model = "m-1";
  origin.terms = shop.bind({});
  EXPECT_TRUE(shop.clearance().preview(origin).permits());
  EXPECT_TRUE(shop.clearance().preview_or_refuse({facts_of_origin(origin)}).ok());
  origin.terms = shop.bind({.series = "strict", .forbidden = "evaluate"});
  const auto refused = shop.clearance().preview_or_refuse({facts_of_origin(origin)});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::refused_by_terms);
  EXPECT_TRUE(has(refused.error().text(), "prohibit evaluate"));
  EXPECT_FALSE(shop.clearance({.actions = {}, .model_id = "m"}).preview(origin).permits());
  EXPECT_EQ(shop.log->head()->size, 0);
}

TEST(ClearanceTest, WeightsNeedTermsOfTheirOwn) {
  Workshop shop("weights");
  const std::string weights = shop.path("base.gguf");
  ASSERT_TRUE(base::write_file_atomic(weights, "weights").ok());
  const std::string permits = shop.write_terms({.series = "weights"});
  auto clearance = shop.clearance();
  const auto cleared = clearance.clear_weights<TrainGenerative>(weights, "m-1", {permits});
  ASSERT_TRUE(cleared.ok()) << cleared.error().text();
  EXPECT_EQ(cleared->digest(), crypto::sha256_hex("weights"));
  EXPECT_EQ(cleared->model(), "m-1");
  EXPECT_GE(cleared->permit().leaf, 0);

  const auto none = clearance.clear_weights<TrainGenerative>(weights, "m-1", {});
  EXPECT_TRUE(has(none.error().text(), "there are no terms"));
  const std::string forbids =
      shop.write_terms({.series = "strict", .forbidden = "train.generative"});
  EXPECT_EQ(clearance.clear_weights<TrainGenerative>(weights, "m-1", {forbids}).error().code,
            ErrorCode::refused_by_terms);
  const std::string outputs = shop.write_terms({.series = "outputs", .object = "outputs"});
  EXPECT_TRUE(
      has(clearance.clear_weights<TrainGenerative>(weights, "m-1", {outputs}).error().text(),
          "no clause permits train.generative of weights"));
  EXPECT_EQ(clearance.clear_weights<Evaluate>(shop.path("none"), "m-1", {permits}).error().code,
            ErrorCode::not_found);

  // A folder's digest covers names and bytes of all its files.
  const std::string folder = shop.path("hf/sub");
  ASSERT_TRUE(base::make_directories(folder).ok());
  ASSERT_TRUE(base::write_file_atomic(base::join(folder, "a"), "x").ok());
  const auto before = clearance.clear_weights<Evaluate>(shop.path("hf"), "m", {permits});
  ASSERT_TRUE(base::write_file_atomic(base::join(folder, "a"), "y").ok());
  const auto after = clearance.clear_weights<Evaluate>(shop.path("hf"), "m", {permits});
  EXPECT_NE(before->digest(), after->digest());
}

constexpr const char* kNamed = "[duty]\nname_prefix = \"Alpha\"\nnotice = \"say so\"\n";

TEST(ClearanceTest, ExportIsCheckedForPublishingWhereTheModelIsDistributed) {
  Workshop shop("export");
  shop.sealed(3, {.forbidden = "publish_model"});
  auto purpose = any_purpose();
  const auto at_home = shop.clearance(purpose).permit_export(shop.selection("export"));
  ASSERT_TRUE(at_home.ok()) << at_home.error().text();
  EXPECT_FALSE(at_home->distributed());
  EXPECT_EQ(at_home->model_id(), "student");
  EXPECT_EQ(at_home->permit().records, 3);
  purpose.distributed = true;
  const auto out = shop.clearance(purpose).permit_export(shop.selection("export"));
  ASSERT_FALSE(out.ok());
  EXPECT_TRUE(has(out.error().text(), "prohibit publish_model"));
}

TEST(ClearanceTest, ExportCarriesTheDutiesOfRecordsAndWeights) {
  Workshop shop("duties");
  shop.sealed(3, {.more = kNamed});
  auto purpose = any_purpose();
  EXPECT_TRUE(shop.clearance(purpose).permit_export(shop.selection())->duties().empty());
  purpose.distributed = true;
  const auto owed = shop.clearance(purpose).permit_export(shop.selection());
  ASSERT_TRUE(owed.ok()) << owed.error().text();
  ASSERT_EQ(owed->duties().size(), 1u);
  EXPECT_EQ(owed->duties()[0].duty.name_prefix, "Alpha");
  EXPECT_EQ(owed->permit().decision, terms::Decision::permit_with_duties);

  const std::string weights = shop.path("base.gguf");
  ASSERT_TRUE(base::write_file_atomic(weights, "weights").ok());
  const std::string beta =
      shop.write_terms({.series = "beta", .more = "[duty]\nname_prefix = \"Beta\"\n"});
  auto clearance = shop.clearance(purpose);
  const auto base = clearance.clear_weights<TrainGenerative>(weights, "m-1", {beta});
  ASSERT_TRUE(base.ok()) << base.error().text();
  const auto both = clearance.permit_export(shop.selection(), *base, {beta});
  ASSERT_FALSE(both.ok());
  EXPECT_TRUE(has(both.error().text(), "no name can meet both duties"));
}

TEST(ClearanceTest, WritesPermissionForTheReportAndKeepsEarlierPaths) {
  Workshop shop("permission");
  shop.sealed(4);
  const std::string path = shop.path("permission.json");
  {
    auto clearance = shop.clearance();
    ASSERT_TRUE(clearance.curate(shop.selection("curate")).ok());
    ASSERT_TRUE(clearance.clear<TrainGenerative>(shop.selection("optimizer")).ok());
    ASSERT_TRUE(clearance.write_permission(path).ok());
  }
  auto clearance = shop.clearance();
  ASSERT_TRUE(clearance.clear<TrainGenerative>(shop.selection("optimizer")).ok());
  ASSERT_TRUE(clearance.clear<Evaluate>(shop.selection("benchmark")).ok());
  ASSERT_TRUE(clearance.write_permission(path).ok());
  const auto value = *json::parse(*base::read_file(path));
  EXPECT_EQ(*value.string_at("schema"), "retort.permission/1");
  EXPECT_EQ(*value.string_at("verdict"), "permit");
  const auto& checks = value.find("checks")->as_array();
  ASSERT_EQ(checks.size(), 3u);
  EXPECT_EQ(*checks[0].string_at("path"), "curate");
  EXPECT_EQ(*checks[2].string_at("action"), "evaluate");
  EXPECT_EQ(*checks[2].int_at("leaf"), shop.log->head()->size - 1);
  const auto& terms = value.find("terms")->as_array();
  ASSERT_EQ(terms.size(), 1u);
  EXPECT_EQ(*terms[0].string_at("id"), "sha256:" + shop.terms.all()[0]->id);
  EXPECT_EQ(*terms[0].int_at("records"), 4);
  EXPECT_EQ(*terms[0].string_at("reader"), "R");
  EXPECT_EQ(terms[0].find("clauses")->as_array().size(), terms::all_actions().size());
  EXPECT_EQ(value.find("ledger")->find("root")->as_string(),
            crypto::to_hex(shop.log->head()->root));
  EXPECT_EQ(value.find("purpose")->find("actions")->as_array().size(), terms::all_actions().size());

  auto denied = shop.clearance({.actions = {terms::Action::store}, .model_id = "m"});
  EXPECT_FALSE(denied.clear<TrainGenerative>(shop.selection("optimizer")).ok());
  ASSERT_TRUE(denied.write_permission(path).ok());
  EXPECT_EQ(*json::parse(*base::read_file(path))->string_at("verdict"), "deny");
  ASSERT_TRUE(base::write_file_atomic(path, R"({"schema": "retort.permission/2"})").ok());
  EXPECT_TRUE(has(denied.write_permission(path).error().text(), "newer"));
}

}  // namespace
}  // namespace retort::corpus
