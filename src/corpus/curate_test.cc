// Derived records: what they say of themselves, and what they cannot help saying of their parents.
#include "corpus/shard_internal.h"
#include "corpus/testing_internal.h"

namespace retort::corpus {
namespace {

using testing::has;
using testing::Workshop;

struct Curated {
  Workshop shop;
  std::optional<CurateView> view;

  // Two records under one set of terms, two under another.
  explicit Curated(const std::string& name) : shop("curate_" + name) {
    auto gathering = shop.gathering();
    shop.gather(*gathering, 0, 2, shop.bind({}));
    shop.clock.sleep_ms(1000);
    shop.gather(*gathering, 2, 2, shop.bind({.series = "strict", .forbidden = "evaluate"}));
    shop.seal(*gathering);
    auto opened = shop.clearance().curate(shop.selection("curate"));
    EXPECT_TRUE(opened.ok()) << opened.error().text();
    view.emplace(std::move(*opened));
  }
  DerivedWriter writer() { return {*view, *shop.log, {.folder = curated()}, "curate"}; }
  std::string curated() const { return shop.path("curated"); }
  Selection derived(const std::string& split = "") const {
    return {.folder = curated(), .split = split, .path_label = "test"};
  }
  int64_t row_of(int64_t number) const {
    for (int64_t row = 0; row < view->size(); ++row) {
      if ((*view)[row].answer == testing::answer(number).text) return row;
    }
    return -1;
  }
};

TEST(CurateTest, KeepsRecordsInASplitWithTheirParents) {
  Curated c("keeps");
  auto writer = c.writer();
  writer.keep(c.view->parent(c.row_of(0)), "train");
  writer.keep(c.view->parent(c.row_of(1)), "held_out");
  EXPECT_FALSE(base::exists(c.curated())) << "nothing before finish()";
  const auto size = c.shop.log->head()->size;
  const auto report = writer.finish();
  ASSERT_TRUE(report.ok()) << report.error().text();
  EXPECT_EQ(report->records, 2);
  EXPECT_TRUE(base::exists(report->shards.at(0)));
  EXPECT_EQ(c.shop.log->head()->size, size + 1);
  EXPECT_FALSE(base::exists(c.curated() + ".writing"));

  const auto train = c.shop.clearance().clear<TrainGenerative>(c.derived("train"));
  ASSERT_TRUE(train.ok()) << train.error().text();
  ASSERT_EQ(train->size(), 1);
  const Record& record = (*train)[0];
  const Record& parent = (*c.view)[c.row_of(0)];
  EXPECT_EQ(record.kind, Kind::derived);
  EXPECT_EQ(record.answer, parent.answer);
  EXPECT_EQ(record.terms, parent.terms);
  EXPECT_EQ(record.door, parent.door);
  EXPECT_EQ(record.captured_ms, parent.captured_ms);
  EXPECT_EQ(record.usage, parent.usage);
  EXPECT_NE(record.salt, parent.salt);
  ASSERT_EQ(record.parents.size(), 1u);
  EXPECT_EQ(record.parents[0].shard, c.view->parent(c.row_of(0)).shard());
  const auto& verdict = train->permit();
  EXPECT_EQ(verdict.records, 1);
}

TEST(CurateTest, TermsAreTheUnionOfTheParents) {
  Curated c("union");
  auto writer = c.writer();
  Parents parents(c.view->parent(c.row_of(0)));
  parents.and_also(c.view->parent(c.row_of(3)));
  writer.add(parents, {.messages = {{dialog::Role::user, "Both?"}}, .answer = "Both."});
  writer.add(c.view->parent(c.row_of(1)), {.messages = {}, .answer = "Rewritten.", .split = "x"});
  ASSERT_TRUE(writer.finish().ok());
  const auto train = c.shop.clearance().clear<TrainGenerative>(c.derived());
  ASSERT_TRUE(train.ok()) << train.error().text();
  ASSERT_EQ(train->size(), 2);
  const bool first = (*train)[0].kind == Kind::merged;
  const Record& merged = (*train)[first ? 0 : 1];
  const Record& rewritten = (*train)[first ? 1 : 0];
  EXPECT_EQ(merged.terms.size(), 2u);
  EXPECT_EQ(merged.origins.size(), 2u);
  EXPECT_EQ(merged.parents.size(), 2u);
  EXPECT_EQ(rewritten.terms, (*c.view)[c.row_of(1)].terms);
  EXPECT_EQ(rewritten.captured_ms, (*c.view)[c.row_of(1)].captured_ms);
  // One of the parents may not be evaluated with, so what came of it may not either.
  const auto refused = c.shop.clearance().clear<Evaluate>(c.derived());
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(has(refused.error().text(), "1 of 2 records"));
  EXPECT_TRUE(has(refused.error().text(), "strict 1: prohibit evaluate"));
}

TEST(CurateTest, ASignalAndFeaturesOfAnyParentStay) {
  Workshop shop("curate_signal");
  auto gathering = shop.gathering();
  const auto bound = shop.bind({});
  ASSERT_TRUE(gathering->plan({testing::request(0, bound), testing::request(1, bound)}).ok());
  const auto jobs = *gathering->claim(2);
  Answer loud = testing::answer(0);
  loud.preference = terms::Preference::no;
  loud.features = kWebSearch;
  Answer quiet = testing::answer(1);
  quiet.preference = terms::Preference::yes;
  ASSERT_TRUE(gathering->commit(jobs[0], loud).ok());
  ASSERT_TRUE(gathering->commit(jobs[1], quiet).ok());
  shop.seal(*gathering);
  const auto view = *shop.clearance().curate(shop.selection());
  DerivedWriter writer(view, *shop.log, {.folder = shop.path("curated")}, "merge");
  writer.add(Parents(view.parent(1)).and_also(view.parent(0)), {.messages = {}, .answer = "x"});
  ASSERT_TRUE(writer.finish().ok());
  const auto kept =
      shop.clearance().curate({.folder = shop.path("curated"), .split = "", .path_label = "t"});
  ASSERT_TRUE(kept.ok()) << kept.error().text();
  EXPECT_EQ((*kept)[0].preference, terms::Preference::no) << "the leaf commits to it";
  EXPECT_EQ((*kept)[0].features, kWebSearch);
  const auto cleared = shop.clearance().clear<TrainGenerative>(
      {.folder = shop.path("curated"), .split = "", .path_label = "t"});
  ASSERT_FALSE(cleared.ok());
  EXPECT_TRUE(has(cleared.error().text(), "not to be used for AI training"));
}

TEST(CurateTest, FinishReplacesWhatWasThere) {
  Curated c("replaces");
  {
    auto writer = c.writer();
    for (int64_t row = 0; row < 4; ++row) writer.keep(c.view->parent(row), "train");
    ASSERT_TRUE(writer.finish().ok());
    EXPECT_EQ(list_shards(c.curated())->size(), 2u) << "a shard for each set of terms";
  }
  auto writer = c.writer();
  writer.keep(c.view->parent(0), "train");
  ASSERT_TRUE(writer.finish().ok());
  EXPECT_EQ(list_shards(c.curated())->size(), 1u);
  EXPECT_EQ(c.shop.clearance().clear<TrainGenerative>(c.derived())->size(), 1);
}

TEST(CurateTest, DerivedRecordsCanBeParentsAgain) {
  Curated c("again");
  auto writer = c.writer();
  writer.keep(c.view->parent(c.row_of(2)), "train");
  ASSERT_TRUE(writer.finish().ok());
  auto clearance = c.shop.clearance();
  const auto second = *clearance.curate(c.derived());
  DerivedWriter next(second, *c.shop.log, {.folder = c.shop.path("second")}, "rewrite");
  next.add(second.parent(0), {.messages = {}, .answer = "Third."});
  ASSERT_TRUE(next.finish().ok());
  const auto refused =
      clearance.clear<Evaluate>({.folder = c.shop.path("second"), .split = "", .path_label = "t"});
  ASSERT_FALSE(refused.ok()) << "two generations on";
  EXPECT_TRUE(has(refused.error().text(), "strict 1: prohibit evaluate"));
}

}  // namespace
}  // namespace retort::corpus
