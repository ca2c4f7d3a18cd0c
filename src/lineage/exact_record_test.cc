// A withdrawn record freezes what learnt from it, and nothing else; what cannot be told counts.
#include <gtest/gtest.h>

#include <filesystem>

#include "corpus/erasure.h"
#include "corpus/sealed_files.h"
#include "lineage/testing_internal.h"
#include "lineage/withdrawal.h"

namespace retort::lineage {
namespace {

using corpus::SubjectKind;
using corpus::Withdrawal;
using corpus::WithdrawalCase;
using testing::House;

// One shard of ten records, curated twice; the record at row 4 is held out in the first curation
// and learnt from in none but the second.
struct RecordStory {
  House house;
  std::string shard, key;
  std::string of_first, of_second;

  explicit RecordStory(const std::string& name) : house(name) {
    house.gather("alpha", 10);
    house.curate("shards", "curated-1");
    curate_all("curated-2");
    of_first = train("m-first", "curated-1");
    of_second = train("m-second", "curated-2");
    EXPECT_TRUE(house.log
                    ->for_each("shard",
                               [&](const ledger::Entry& entry) -> Result<void> {
                                 if (shard.empty()) shard = entry.name;
                                 return {};
                               })
                    .ok());
    const auto found = corpus::find_record(*house.log, {house.path("shards")}, place());
    EXPECT_TRUE(found.ok()) << (found ? "" : found.error().text());
    key = found->front().key;
  }
  std::string place() const { return shard + ":4"; }
  void curate_all(const std::string& into) {
    auto clearance = house.clear();
    const auto view = clearance.curate({.folder = house.path("shards"), .path_label = "curate"});
    corpus::DerivedWriter writer(*view, *house.log, {.folder = house.path(into)}, "curate");
    for (int64_t row = 0; row < view->size(); ++row) writer.keep(view->parent(row), "train");
    EXPECT_TRUE(writer.finish().ok());
  }
  std::string train(const std::string& name, const std::string& from) {
    return testing::train(house, name, from).model;
  }
  std::string file(const std::string& name) {
    return house.write(name + ".gguf", "weights of " + name);
  }
  // As the command does it, with the shards in these folders at hand.
  WithdrawalReport withdraw_record(const std::vector<std::string>& folders) {
    std::set<std::string> read;
    std::vector<std::string> paths;
    for (const auto& folder : folders) paths.push_back(house.path(folder));
    const auto found = corpus::find_record(*house.log, paths, place(), &read);
    EXPECT_TRUE(found.ok()) << (found ? "" : found.error().text());
    WithdrawnRecord record{.derived = {}, .found = found_record(*found, std::move(read))};
    const Withdrawal what{.why = WithdrawalCase::record,
                          .kind = SubjectKind::record,
                          .id = place(),
                          .key = key,
                          .reason = "a person asked",
                          .by = "N"};
    for (const auto& one : *found) {
      if (!one.derived) continue;
      auto also = what;
      also.id = one.place();
      also.key = one.key;
      record.derived.push_back(std::move(also));
    }
    const auto done = withdraw(*house.log, what, &record);
    EXPECT_TRUE(done.ok()) << (done ? "" : done.error().text());
    return done ? *done : WithdrawalReport{};
  }
  State state(const std::string& model) {
    const auto standings = Standings::read(*house.log);
    EXPECT_TRUE(standings.ok()) << (standings ? "" : standings.error().text());
    return standings ? (*standings->find(model))->state : State::clear;
  }
};

TEST(ExactRecordTest, OnlyWhatLearntFromItIsFrozen) {
  RecordStory story("exact");
  const auto student = story.house.weights(story.file("m-second"), "gamma");
  const auto run =
      log_run(*story.house.log,
              {.data = story.house.training("curated-1"), .base = &student, .options = "student"});
  const auto model = log_model(*story.house.log, {.path = story.file("m-student"),
                                                  .model_id = "m-student",
                                                  .form = "gguf",
                                                  .run = run->manifest().entry});
  story.house.gather("beta", 10, "shards-b");
  story.house.curate("shards-b", "curated-b");
  const auto other = story.train("m-other", "curated-b");
  const auto done = story.withdraw_record({"shards", "curated-1", "curated-2"});
  EXPECT_EQ(done.records, 1u);
  EXPECT_EQ(story.state(other), State::clear) << "it learnt from other shards";
  EXPECT_EQ(done.frozen.size(), 2u);
  EXPECT_EQ(story.state(story.of_first), State::clear) << "it was held out there";
  EXPECT_EQ(story.state(story.of_second), State::frozen);
  EXPECT_EQ(story.state(model->name), State::frozen) << "it started from one that learnt it";
  // Said twice it is one entry, whatever came meanwhile.
  story.train("m-late", "curated-1");
  const int64_t size = story.house.log->head()->size;
  EXPECT_TRUE(story.withdraw_record({"shards", "curated-1", "curated-2"}).known);
  EXPECT_EQ(story.house.log->head()->size, size);
}

// A model of a run that was under way is told from the same entry.
TEST(ExactRecordTest, WhatComesLaterIsToldFromTheEntry) {
  RecordStory story("later");
  auto& house = story.house;
  const auto first = log_run(*house.log, {.data = house.training("curated-1"), .options = "a"});
  const auto second = log_run(*house.log, {.data = house.training("curated-2"), .options = "b"});
  story.withdraw_record({"shards", "curated-1", "curated-2"});
  const auto model_of = [&](const LoggedRun& run, const std::string& name) {
    return log_model(*house.log, {.path = story.file(name),
                                  .model_id = name,
                                  .form = "gguf",
                                  .run = run.manifest().entry})
        ->name;
  };
  EXPECT_EQ(story.state(model_of(*first, "late-first")), State::clear);
  EXPECT_EQ(story.state(model_of(*second, "late-second")), State::frozen);
}

// Shards that are not at hand may hold anything that was made from the record.
TEST(ExactRecordTest, WhatWasNotReadCountsAsConcerned) {
  for (const std::string missing : {"curated-1", "curated-2"}) {
    RecordStory story("missing_" + missing);
    const std::string there = missing == "curated-1" ? "curated-2" : "curated-1";
    story.withdraw_record({"shards", there});
    EXPECT_EQ(story.state(story.of_first), missing == "curated-1" ? State::frozen : State::clear);
    EXPECT_EQ(story.state(story.of_second), State::frozen);
  }
}

// What was made from a shard that is not at hand is as unsure, read or not.
TEST(ExactRecordTest, WhatCameOfAMissingShardCountsAsConcerned) {
  RecordStory story("grandchild");
  story.house.curate("curated-1", "curated-3");
  const auto model = story.train("m-third", "curated-3");
  story.withdraw_record({"shards", "curated-2", "curated-3"});
  EXPECT_EQ(story.state(model), State::frozen);
  RecordStory all("grandchild_all");
  all.house.curate("curated-1", "curated-3");
  const auto third = all.train("m-third", "curated-3");
  all.withdraw_record({"shards", "curated-1", "curated-2", "curated-3"});
  EXPECT_EQ(all.state(all.of_first), State::clear);
  EXPECT_EQ(all.state(third), State::clear) << "it is held out there as well";
}

// Of an erased record nobody can tell any more what it was made from.
TEST(ExactRecordTest, AShardThatLostRecordsCountsAsConcerned) {
  RecordStory story("erased");
  auto& house = story.house;
  const auto other = corpus::find_record(*house.log, {house.path("curated-1")}, story.key);
  ASSERT_TRUE(other.ok() || other.error().code == ErrorCode::not_found);
  std::string digest;
  ASSERT_TRUE(house.log
                  ->for_each("shard",
                             [&](const ledger::Entry& entry) -> Result<void> {
                               if (entry.index > 0 && digest.empty() && entry.name != story.shard) {
                                 digest = entry.name;
                               }
                               return {};
                             })
                  .ok());
  const auto erased = corpus::erase(
      *house.log,
      {.record = digest + ":0", .folders = {house.path("curated-1")}, .reason = "r", .by = "N"});
  ASSERT_TRUE(erased.ok()) << erased.error().text();
  story.withdraw_record({"shards", "curated-1", "curated-2"});
  EXPECT_EQ(story.state(story.of_first), State::frozen);
}

// The index is not asked, so whoever edits or removes it frees nothing.
TEST(ExactRecordTest, AnEditedIndexFreesNothing) {
  RecordStory story("index");
  const std::string folder = base::join(story.house.log->folder(), "index");
  ASSERT_TRUE(base::exists(folder));
  for (const auto& item : std::filesystem::directory_iterator(folder)) {
    if (item.is_regular_file()) std::filesystem::resize_file(item.path(), 0);
  }
  story.withdraw_record({"shards", "curated-1", "curated-2"});
  EXPECT_EQ(story.state(story.of_second), State::frozen);
}

// Without shards at hand the whole shard counts, as in logs of before.
TEST(ExactRecordTest, WithoutItsPlacesTheWholeShardCounts) {
  RecordStory story("whole");
  const Withdrawal what{.why = WithdrawalCase::record,
                        .kind = SubjectKind::record,
                        .id = story.place(),
                        .key = story.key,
                        .by = "N"};
  const auto done = withdraw(*story.house.log, what);
  ASSERT_TRUE(done.ok()) << done.error().text();
  EXPECT_EQ(done->frozen.size(), 2u);
}

}  // namespace
}  // namespace retort::lineage
