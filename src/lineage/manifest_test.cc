#include "lineage/manifest.h"

#include <gtest/gtest.h>

#include <map>

#include "crypto/hash.h"
#include "lineage/testing_internal.h"

namespace retort::lineage {
namespace {

using testing::has;
using testing::House;

TEST(ManifestTest, ARunNamesWhatItLearntFromToTheRecord) {
  House house("run");
  const std::string alpha = house.gather("alpha", 10);
  const std::string beta = house.gather("beta", 5);
  house.curate();
  const auto data = house.training();
  const auto held_out = house.clear().clear<terms::Evaluate>(house.selection("held_out"));
  const auto base = house.weights(house.write("base.gguf", "weights"), "gamma");
  const auto logged = log_run(*house.log, {.data = data,
                                           .held_out = &*held_out,
                                           .base = &base,
                                           .program = "retort test",
                                           .objective = "sequence_kd",
                                           .options = "0a",
                                           .seed = 7});
  ASSERT_TRUE(logged.ok()) << logged.error().text();
  const auto read = find_run(*house.log, logged->manifest().entry);
  ASSERT_TRUE(read.ok()) << read.error().text();
  EXPECT_EQ(read->model_id, "student");
  EXPECT_EQ(read->split, "train");
  EXPECT_EQ(read->records, 12);
  EXPECT_EQ(read->selection, data.digest());
  ASSERT_EQ(read->by_terms.size(), 2u);
  std::map<std::string, int64_t> records;
  for (const auto& share : read->by_terms) records[share.terms.at(0)] = share.records;
  EXPECT_EQ(records, (std::map<std::string, int64_t>{{alpha, 8}, {beta, 4}}));
  ASSERT_EQ(read->by_door.size(), 2u);
  for (const auto& share : read->by_door) {
    const auto door = house.log->entry(share.door);
    EXPECT_EQ(share.records, *door->body.string_at("model") == "alpha" ? 8 : 4);
  }
  for (const int64_t shard : read->shards) EXPECT_EQ(house.log->entry(shard)->kind, "shard");
  EXPECT_EQ(std::ssize(read->shards), 2);
  ASSERT_TRUE(read->base.has_value());
  EXPECT_EQ(read->base->digest, crypto::sha256_hex("weights"));
  EXPECT_EQ(read->base->terms, std::vector{testing::terms_of("gamma").id});
  ASSERT_EQ(read->base->files.size(), 1u);
  EXPECT_EQ(read->base->files[0].sha256, read->base->digest);
  ASSERT_TRUE(read->evaluation.has_value());
  EXPECT_EQ(read->evaluation->records, 3);
  EXPECT_EQ(read->purpose.string_at("model_id").value_or(""), "student");
  for (const int64_t verdict : read->verdicts) {
    EXPECT_EQ(house.log->entry(verdict)->kind, "verdict");
  }
}

TEST(ManifestTest, TheSameRunIsFoundAgainAndAChangedOneIsNew) {
  House house("again");
  house.gather("alpha", 5);
  house.curate();
  const auto first = log_run(*house.log, {.data = house.training(), .options = "0a"});
  ASSERT_TRUE(first.ok()) << first.error().text();
  // Asked for anew, so the verdict is another entry.
  const auto again = log_run(*house.log, {.data = house.training(), .options = "0a"});
  EXPECT_EQ(again->manifest().entry, first->manifest().entry);
  EXPECT_EQ(again->manifest().verdicts, first->manifest().verdicts);
  const auto other = log_run(*house.log, {.data = house.training(), .options = "0b"});
  EXPECT_NE(other->manifest().entry, first->manifest().entry);
  EXPECT_EQ(all_runs(*house.log)->size(), 2u);
}

TEST(ManifestTest, ANewerFormIsRefusedAndUnknownMembersAreNot) {
  House house("newer");
  house.gather("alpha", 5);
  house.curate();
  const auto run = log_run(*house.log, {.data = house.training()});
  auto body = to_json(run->manifest());
  body.set("later", "more");
  const auto more = house.log->append("run", "more", body);
  EXPECT_TRUE(find_run(*house.log, *more).ok());
  body.set("schema", "retort.run/2");
  const auto newer = house.log->append("run", "newer", body);
  EXPECT_TRUE(has(find_run(*house.log, *newer).error().text(), "newer program"));
  EXPECT_FALSE(all_runs(*house.log).ok());
  EXPECT_FALSE(find_run(*house.log, 0).ok());  // an entry of another kind
}

TEST(ArtifactTest, AFolderHasTheDigestThatModelSigningSigns) {
  House house("folder");
  house.write("m/a-b", "1");
  house.write("m/a/b", "2");
  house.write("m/model.safetensors", "3");
  const auto artifact = artifact_of(house.path("m"));
  ASSERT_TRUE(artifact.ok()) << artifact.error().text();
  // By component: "a" comes before "a-b", though "-" is smaller than "/".
  ASSERT_EQ(artifact->files.size(), 3u);
  EXPECT_EQ(artifact->files[0].name, "a/b");
  EXPECT_EQ(artifact->files[1].name, "a-b");
  std::string digests;
  for (const char* bytes : {"2", "1", "3"}) digests += crypto::as_bytes(crypto::sha256(bytes));
  EXPECT_EQ(artifact->digest, crypto::sha256_hex(digests));
  const auto weights = weights_of(house.path("m"));
  ASSERT_EQ(weights->size(), 1u);
  EXPECT_EQ(weights->front().sha256, crypto::sha256_hex("3"));
  EXPECT_EQ(artifact_of(house.path("m/a-b"))->digest, crypto::sha256_hex("1"));
  EXPECT_EQ(artifact_of(house.path("none")).error().code, ErrorCode::not_found);
}

TEST(ArtifactTest, AModelOfTheSameBytesIsOneEntryARun) {
  House house("model");
  const std::string file = house.write("student.gguf", "bytes");
  const ModelInput input{
      .path = file, .model_id = "student", .form = "gguf", .run = 3, .made_from = {"ab"}};
  const auto model = log_model(*house.log, input);
  ASSERT_TRUE(model.ok()) << model.error().text();
  EXPECT_EQ(model->name, crypto::sha256_hex("bytes"));
  EXPECT_EQ(model->files, (std::vector<ModelFile>{{"student.gguf", 5, model->name}}));
  EXPECT_EQ(model->made_from, std::vector<std::string>{"ab"});
  EXPECT_EQ(log_model(*house.log, input)->entry, model->entry);
  auto of_another = input;
  of_another.run = 4;
  const auto other = log_model(*house.log, of_another);
  EXPECT_EQ(other->run, 4);
  EXPECT_EQ(other->files, model->files);
  EXPECT_EQ(log_model(*house.log, of_another)->entry, other->entry);
  EXPECT_EQ(find_model(*house.log, model->name)->run, 3);
}

}  // namespace
}  // namespace retort::lineage
