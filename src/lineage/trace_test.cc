#include "lineage/trace.h"

#include <gtest/gtest.h>

#include <set>

#include "corpus/record_index.h"
#include "crypto/hash.h"
#include "lineage/testing_internal.h"
#include "lineage/trace_world_internal.h"

namespace retort::lineage {
namespace {

using testing::has;
using testing::House;
using testing::World;
using Kind = Question::Kind;
using Numbers = std::vector<uint64_t>;

Lineage lineage_of(const std::vector<ledger::Entry>& log) {
  Lineage out;
  for (const auto& entry : log) {
    const auto added = out.add(entry);
    EXPECT_TRUE(added.ok()) << added.error().text();
  }
  return out;
}

World::Answer answer_of(const Trace& trace) {
  return {.shards = {trace.shards.begin(), trace.shards.end()},
          .runs = {trace.runs.begin(), trace.runs.end()},
          .models = {trace.models.begin(), trace.models.end()},
          .records = trace.records + trace.students_records};
}

void expect_equal(const World& world, const Lineage& lineage, const Question& question,
                  uint64_t size, const corpus::RecordIndex* index = nullptr) {
  const auto trace = lineage.trace(question, index);
  ASSERT_TRUE(trace.ok()) << trace.error().text();
  const auto got = answer_of(*trace);
  const auto wanted = world.oracle(
      question, size, index != nullptr ? World::Record::by_row : World::Record::by_shard);
  EXPECT_EQ(got.shards, wanted.shards) << question.id;
  EXPECT_EQ(got.runs, wanted.runs) << question.id;
  EXPECT_EQ(got.models, wanted.models) << question.id;
  EXPECT_EQ(got.records, wanted.records) << question.id;
  for (const auto& [entry, reason] : trace->reasons) {
    EXPECT_FALSE(reason.assumed);
    const auto before = trace->reasons.find(reason.because);
    if (before == trace->reasons.end()) continue;
    EXPECT_LE(before->second.generation, reason.generation) << entry;
  }
}

TEST(TraceTest, FindsAllAndNothingElseInMadeUpHousesOfThreeGenerations) {
  size_t asked = 0;
  size_t models = 0;
  int oldest = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    World world(seed);
    world.grow(3);
    const Lineage lineage = lineage_of(world.log());
    for (const auto& question : world.questions(world.log().size())) {
      expect_equal(world, lineage, question, world.log().size());
      if (HasFailure()) FAIL() << "seed " << seed;
      const auto trace = lineage.trace(question);
      models += trace->models.size();
      for (const auto& [entry, reason] : trace->reasons) {
        oldest = std::max(oldest, reason.generation);
      }
      ++asked;
    }
  }
  // The houses are worth asking about.
  EXPECT_GT(asked, 3'000u);
  EXPECT_GT(models, 5'000u);
  EXPECT_GE(oldest, 3);
}

// A crash leaves the log up to some entry; a run may have no model, a model may not be served yet.
TEST(TraceTest, IsRightForALogThatEndsAnywhere) {
  for (uint64_t seed = 101; seed <= 104; ++seed) {
    World world(seed);
    world.grow(3);
    Lineage lineage;
    for (uint64_t size = 1; size <= world.log().size(); ++size) {
      ASSERT_TRUE(lineage.add(world.log()[size - 1]).ok());
      ASSERT_EQ(lineage.log_size(), size);
      const auto questions = world.questions(size);
      for (size_t i = size % 7; i < questions.size(); i += 7) {
        expect_equal(world, lineage, questions[i], size);
        if (HasFailure()) FAIL() << "seed " << seed << ", " << size << " entries";
      }
    }
  }
}

TEST(TraceTest, WithAnIndexARecordIsFollowedAlone) {
  size_t exact_models = 0;
  size_t all_models = 0;
  for (uint64_t seed = 201; seed <= 212; ++seed) {
    World world(seed);
    world.grow(3);
    const std::string folder = ::testing::TempDir() + "retort_lineage_world";
    ASSERT_TRUE(base::remove_all(folder).ok());
    world.write_index(folder);
    const auto index = corpus::RecordIndex::open(folder);
    ASSERT_TRUE(index.ok()) << index.error().text();
    const Lineage lineage = lineage_of(world.log());
    const uint64_t size = world.log().size();
    for (const auto& question : world.keys(40)) {
      expect_equal(world, lineage, question, size, &*index);
      if (HasFailure()) FAIL() << "seed " << seed;
    }
    for (const auto& question : world.questions(size)) {
      expect_equal(world, lineage, question, size, &*index);
      if (HasFailure()) FAIL() << "seed " << seed;
      if (question.kind != Kind::kRecord) continue;
      exact_models += lineage.trace(question, &*index)->models.size();
      all_models += lineage.trace(question)->models.size();
    }
    const std::string nobody(64, '0');
    EXPECT_EQ(lineage.trace({Kind::kRecord, nobody}, &*index).error().code, ErrorCode::not_found);
  }
  EXPECT_GT(exact_models, 100u);
  EXPECT_GT(all_models, exact_models * 5 / 4);
}

TEST(TraceTest, AnIndexThatLacksAShardIsRefused) {
  World world(9);
  world.grow(2);
  const std::string folder = ::testing::TempDir() + "retort_lineage_partial";
  ASSERT_TRUE(base::remove_all(folder).ok());
  world.write_index(folder);
  const auto names = base::list_directory(base::join(folder, "index"));
  ASSERT_TRUE(base::remove_all(base::join(base::join(folder, "index"), names->front())).ok());
  const auto index = corpus::RecordIndex::open(folder);
  const auto trace = lineage_of(world.log()).trace(world.keys(1).front(), &*index);
  ASSERT_FALSE(trace.ok());
  EXPECT_TRUE(has(trace.error().text(), "lacks 1 of"));
  EXPECT_TRUE(has(trace.error().text(), "retort ledger index"));
}

TEST(TraceTest, FromARealHouseThroughAStudentThatIsServed) {
  House house("trace");
  const std::string alpha = house.gather("alpha", 10);
  const std::string beta = house.gather("beta", 5, "others");
  house.curate("shards", "curated");
  house.curate("others", "others-curated");
  const auto first = log_run(*house.log, {.data = house.training("curated")});
  const auto other = log_run(*house.log, {.data = house.training("others-curated")});
  const std::string file = house.write("student.gguf", "weights");
  const auto student = log_model(
      *house.log,
      {.path = file, .model_id = "first", .form = "gguf", .run = first->manifest().entry});
  ASSERT_TRUE(student.ok()) << student.error().text();
  // The student is a teacher now.
  const corpus::Door door{"example", "https://pupil.example.com/v1", ""};
  ASSERT_TRUE(log_served(*house.log, {.door = door, .model = "pupil"}, file).ok());
  house.gather("pupil", 7, "third");
  house.curate("third", "third-curated");
  const auto second = log_run(*house.log, {.data = house.training("third-curated")});
  ASSERT_TRUE(second.ok()) << second.error().text();
  const auto last = log_model(*house.log, {.path = house.write("second.gguf", "more"),
                                           .model_id = "second",
                                           .form = "gguf",
                                           .run = second->manifest().entry});

  const auto trace = lineage::trace(*house.log, {Kind::kTerms, alpha});
  ASSERT_TRUE(trace.ok()) << trace.error().text();
  const auto number = [](int64_t entry) { return static_cast<uint64_t>(entry); };
  const uint64_t first_run = number(first->manifest().entry);
  const uint64_t second_run = number(second->manifest().entry);
  EXPECT_EQ(trace->runs, (Numbers{first_run, second_run}));
  EXPECT_EQ(trace->models, (Numbers{number(student->entry), number(last->entry)}));
  EXPECT_EQ(trace->records, 20u);  // 10 gathered, 10 kept
  EXPECT_EQ(trace->students_records, 14u);
  EXPECT_EQ(trace->reasons.at(first_run).generation, 0);
  EXPECT_EQ(trace->reasons.at(number(student->entry)), (Reason{first_run, 1, false}));
  EXPECT_EQ(trace->reasons.at(number(last->entry)), (Reason{second_run, 2, false}));
  EXPECT_EQ(trace->log_size, number(house.log->head()->size));

  const auto of_beta = lineage::trace(*house.log, {Kind::kTerms, beta});
  EXPECT_EQ(of_beta->runs, Numbers{number(other->manifest().entry)});
  EXPECT_TRUE(of_beta->models.empty());
  const auto at_door = lineage::trace(*house.log, {Kind::kDoor, "https://alpha.example.com/v1"});
  EXPECT_EQ(at_door->models, trace->models);
  const auto of_file = lineage::trace(*house.log, {Kind::kWeights, crypto::sha256_hex("weights")});
  EXPECT_EQ(of_file->models, trace->models);
  EXPECT_EQ(of_file->runs, Numbers{second_run});
  // One record of a shard that was derived from: the log knows shards only.
  const auto shard = house.log->entry(static_cast<int64_t>(trace->shards.front()));
  const auto of_record = lineage::trace(*house.log, {Kind::kRecord, shard->name + ":3"});
  ASSERT_TRUE(of_record.ok()) << of_record.error().text();
  EXPECT_TRUE(of_record->whole_shards);
  EXPECT_EQ(of_record->models, trace->models);
  EXPECT_EQ(of_record->records, 20u);
  // Its index was written as the shards were sealed: a record that was kept, and one held out.
  const auto index = corpus::RecordIndex::open(house.log->folder());
  ASSERT_TRUE(index.ok()) << index.error().text();
  const auto kept = lineage::trace(*house.log, {Kind::kRecord, shard->name + ":3"}, &*index);
  ASSERT_TRUE(kept.ok()) << kept.error().text();
  EXPECT_EQ(kept->models, trace->models);
  EXPECT_EQ(kept->records, 2u);
  EXPECT_EQ(kept->rows.at(trace->shards.front()), std::vector<uint32_t>{3});
  const auto held_out = lineage::trace(*house.log, {Kind::kRecord, shard->name + ":4"}, &*index);
  ASSERT_TRUE(held_out.ok()) << held_out.error().text();
  EXPECT_EQ(held_out->records, 2u);
  EXPECT_TRUE(held_out->runs.empty());
}

TEST(TraceTest, ASeriesIsAllItsVersions) {
  World world(11);
  world.grow(30);
  const Lineage lineage = lineage_of(world.log());
  std::set<uint64_t> shards, models;
  for (const auto& question : world.questions(world.log().size())) {
    if (question.kind != Kind::kTerms) continue;
    const auto version = lineage.trace(question);
    ASSERT_TRUE(version.ok()) << version.error().text();
    shards.insert(version->shards.begin(), version->shards.end());
    models.insert(version->models.begin(), version->models.end());
  }
  ASSERT_FALSE(models.empty());
  const auto series = lineage.trace({Kind::kTerms, World::kSeries});
  ASSERT_TRUE(series.ok()) << series.error().text();
  EXPECT_EQ(series->shards, Numbers(shards.begin(), shards.end()));
  EXPECT_EQ(series->models, Numbers(models.begin(), models.end()));
}

TEST(TraceTest, NamesAreLookedUpAsPeopleGiveThem) {
  World world(7);
  world.grow(2);
  const Lineage lineage = lineage_of(world.log());
  const auto questions = world.questions(world.log().size());
  const Question& terms = questions.front();
  ASSERT_EQ(terms.kind, Kind::kTerms);
  const auto whole = lineage.trace(terms);
  const auto begun = lineage.trace({Kind::kTerms, terms.id.substr(0, 12)});
  ASSERT_TRUE(begun.ok()) << begun.error().text();
  EXPECT_EQ(begun->models, whole->models);
  EXPECT_EQ(lineage.trace({Kind::kTerms, terms.id.substr(0, 7)}).error().code,
            ErrorCode::not_found);
  EXPECT_EQ(lineage.trace({Kind::kDoor, terms.id}).error().code, ErrorCode::not_found);
  EXPECT_TRUE(has(lineage.trace({Kind::kDoor, "https://"}).error().text(), "both begin so"));
  for (const auto& question : questions) {
    if (question.kind != Kind::kRecord) continue;
    const std::string shard = question.id.substr(0, 16);
    EXPECT_TRUE(lineage.trace({Kind::kRecord, shard + ":0"}).ok());
    EXPECT_TRUE(has(lineage.trace({Kind::kRecord, shard + ":99"}).error().text(), "records"));
    EXPECT_FALSE(lineage.trace({Kind::kRecord, shard + ":-1"}).ok());
    EXPECT_FALSE(lineage.trace({Kind::kRecord, shard + ":"}).ok());
    EXPECT_TRUE(has(lineage.trace({Kind::kRecord, shard}).error().text(), "SHARD:ROW"));
  }
}

// Entries of before `parents` and `doors` were written.
TEST(TraceTest, WhatDoesNotSayWhereItComesFromIsConcerned) {
  const auto shard = [](int64_t index, const std::string& source, int64_t set) {
    return ledger::Entry{.index = index,
                         .kind = "shard",
                         .name = crypto::sha256_hex(std::to_string(index)),
                         .time_ms = 0,
                         .body = json::Value::object({{"schema", "retort.shard/1"},
                                                      {"source", source},
                                                      {"records", int64_t{3}},
                                                      {"terms_sets", json::Value::array({set})}})};
  };
  const ledger::Entry door{.index = 0,
                           .kind = "door",
                           .name = crypto::sha256_hex("door"),
                           .time_ms = 0,
                           .body = json::Value::object({{"provider", "p"}, {"model", "m"}})};
  std::vector<ledger::Entry> log{door};
  log.push_back(shard(1, "curate", 7));
  log.push_back(shard(2, "collect", 7));
  log.push_back(shard(3, "curate", 7));
  log.push_back(shard(4, "import", 7));
  const Lineage lineage = lineage_of(log);
  const auto of_record = lineage.trace({Kind::kRecord, log[2].name + ":0"});
  ASSERT_TRUE(of_record.ok()) << of_record.error().text();
  EXPECT_EQ(of_record->shards, (Numbers{2, 3}));
  EXPECT_EQ(of_record->reasons.at(3), (Reason{2, 0, true}));
  EXPECT_FALSE(of_record->reasons.at(2).assumed);
  const auto of_door = lineage.trace({Kind::kDoor, "p"});
  EXPECT_EQ(of_door->shards, (Numbers{1, 2, 3, 4}));
  EXPECT_TRUE(of_door->reasons.at(4).assumed);
}

TEST(TraceTest, ANewerEntryIsRefusedByItsNumber) {
  World world(3);
  world.grow(1);
  auto log = world.log();
  Lineage lineage;
  for (auto& entry : log) {
    if (entry.kind == "run") {
      entry.body.set("schema", "retort.run/2");
      const auto added = lineage.add(entry);
      ASSERT_FALSE(added.ok());
      EXPECT_TRUE(has(added.error().text(), "entry " + std::to_string(entry.index)));
      return;
    }
    ASSERT_TRUE(lineage.add(entry).ok());
  }
  FAIL() << "no run";
}

}  // namespace
}  // namespace retort::lineage
