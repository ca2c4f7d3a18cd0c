#include "train/checkpoint.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "train/test_rows_internal.h"

namespace retort::train {
namespace {

const json::Value kIdentity = json::Value::object({{"train.lr", "0.001"}, {"data", "abc"}});

class CheckpointTest : public ::testing::Test {
 protected:
  void save(int64_t step, int64_t keep = 2, int64_t best = -1) {
    weights_ = model::Weights::random(config_, static_cast<uint64_t>(step));
    moments_.assign(weights_.block().size(), static_cast<float>(step));
    const LoopState loop{.step = step, .cursor = 3, .seconds = 1.25, .best_step = best};
    const auto saved =
        Checkpoints(place(keep)).save({loop, kIdentity, "answers of step " + std::to_string(step)});
    ASSERT_TRUE(saved) << saved.error().text();
  }
  CheckpointPlace place(int64_t keep = 2) {
    return {.folder = folder_,
            .tensors = weights_.tensors(),
            .blocks = {{"model", weights_.block()}, {"moments", moments_}},
            .keep = keep};
  }
  // The step of the newest one that loads, -1 for none; its content must be what was saved.
  int64_t newest() {
    auto found = Checkpoints(place()).load_newest(kIdentity);
    EXPECT_TRUE(found) << (found ? "" : found.error().text());
    if (!found || !*found) return -1;
    const Checkpoint& loaded = **found;
    const auto seed = static_cast<uint64_t>(loaded.loop.step);
    const auto saved = model::Weights::random(config_, seed);
    EXPECT_TRUE(std::equal(saved.block().begin(), saved.block().end(), loaded.blocks[0].begin()));
    EXPECT_EQ(loaded.blocks[1].back(), static_cast<float>(loaded.loop.step));
    EXPECT_EQ(loaded.loop.cursor, 3);
    EXPECT_EQ(loaded.answers, "answers of step " + std::to_string(loaded.loop.step));
    return loaded.loop.step;
  }
  std::string file(const char* step, const char* name) {
    return base::join(base::join(folder_, step), name);
  }
  void flip_byte(const std::string& path, std::streamoff at) {
    std::fstream stream(path, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(at);
    const char byte = static_cast<char>(stream.get() ^ 1);
    stream.seekp(at);
    stream.put(byte);
  }

  model::Config config_ = tiny_config();
  std::string folder_ = fresh_folder("checkpoints");
  model::Weights weights_{config_};
  std::vector<float> moments_;
};

TEST_F(CheckpointTest, ChangedAnswersAreDamageToo) {
  save(3);
  save(5);
  flip_byte(file("step-000005", "answers.json"), 4);
  EXPECT_EQ(newest(), 3);
}

TEST_F(CheckpointTest, NothingThereIsNoError) {
  EXPECT_EQ(newest(), -1);
}

TEST_F(CheckpointTest, NewestComesBackAndOldOnesGo) {
  for (const int64_t step : {10, 20, 30}) save(step);
  EXPECT_EQ(newest(), 30);
  EXPECT_EQ(*Checkpoints(place()).completed(), (std::vector<int64_t>{20, 30}));
  EXPECT_EQ(*base::read_file(base::join(folder_, "latest")), "step-000030\n");
}

TEST_F(CheckpointTest, TheBestOneIsKept) {
  for (const int64_t step : {10, 20, 30, 40}) save(step, 1, 10);
  EXPECT_EQ(*Checkpoints(place(1)).completed(), (std::vector<int64_t>{10, 40}));
}

TEST_F(CheckpointTest, WithoutItsMarkerAFolderIsIgnored) {
  save(10);
  save(20);
  std::filesystem::remove(file("step-000020", "complete"));
  EXPECT_EQ(newest(), 10);
  save(30);  // and swept away with the next one
  EXPECT_FALSE(base::exists(base::join(folder_, "step-000020")));
}

TEST_F(CheckpointTest, AnyDamageLeadsToThePreviousOne) {
  const char* names[] = {"model.safetensors", "moments.safetensors", "state.json", "complete"};
  for (const char* name : names) {
    for (const bool truncate : {false, true}) {
      folder_ = fresh_folder("damage");
      save(10);
      save(20);
      const std::string path = file("step-000020", name);
      const auto size = static_cast<std::streamoff>(*base::file_size(path));
      if (truncate) {
        std::filesystem::resize_file(path, static_cast<uintmax_t>(size - 1));
      } else {
        flip_byte(path, size / 2);
      }
      EXPECT_EQ(newest(), 10) << name << (truncate ? " truncated" : " flipped");
    }
  }
}

// Every byte of the small files, and of the tensors' files the whole header and bytes all over the
// values; and files that end early anywhere. `latest` then names the one that loads.
TEST_F(CheckpointTest, AFlippedBitOrALostEndIsFoundWhereverItIs) {
  save(10);
  save(20);
  const char* names[] = {"model.safetensors", "moments.safetensors", "state.json", "answers.json",
                         "complete"};
  for (const char* name : names) {
    const std::string path = file("step-000020", name);
    const std::string whole = *base::read_file(path);
    const auto expect_passed_over = [&](const std::string& content, size_t at) {
      ASSERT_TRUE(base::write_file_atomic(path, content).ok());
      const auto found = Checkpoints(place()).load_newest(kIdentity);
      ASSERT_TRUE(found && *found) << name << " at " << at;
      ASSERT_EQ((*found)->loop.step, 10) << name << " at " << at;
      ASSERT_EQ(*base::read_file(base::join(folder_, "latest")), "step-000010\n");
    };
    const size_t stride = std::max<size_t>(whole.size() / 23, 1);
    for (size_t at = 0; at < whole.size(); at += whole.size() < 3000 || at < 40 ? 1 : stride) {
      std::string content = whole;
      content[at] = static_cast<char>(content[at] ^ (1 << at % 8));
      expect_passed_over(content, at);
    }
    for (size_t size = 0; size < whole.size(); size += stride) {
      expect_passed_over(whole.substr(0, size), size);
    }
    ASSERT_TRUE(base::write_file_atomic(path, whole).ok());
    ASSERT_EQ(newest(), 20);  // and it was this file alone
    ASSERT_EQ(*base::read_file(base::join(folder_, "latest")), "step-000020\n");
  }
}

TEST_F(CheckpointTest, AMissingFileLeadsToThePreviousOne) {
  save(10);
  save(20);
  std::filesystem::remove(file("step-000020", "moments.safetensors"));
  EXPECT_EQ(newest(), 10);
}

TEST_F(CheckpointTest, ADamagedLaterOneNeverPushesOutTheGoodOne) {
  save(10, 1);
  save(20, 2);
  flip_byte(file("step-000020", "model.safetensors"), 4000);
  ASSERT_EQ(newest(), 10);
  save(15, 1);  // what a resumed run writes next
  EXPECT_EQ(newest(), 15);
  EXPECT_EQ(*Checkpoints(place(1)).completed(), (std::vector<int64_t>{15}));
}

TEST_F(CheckpointTest, AllDamagedIsAnErrorAndNotANewStart) {
  save(10);
  flip_byte(file("step-000010", "model.safetensors"), 4000);
  const auto found = Checkpoints(place()).load_newest(kIdentity);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::storage);
}

TEST_F(CheckpointTest, AnotherIdentityIsRefusedByName) {
  save(10);
  json::Value changed = kIdentity;
  changed.set("train.lr", "0.003");
  const auto found = Checkpoints(place()).load_newest(changed);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::usage);
  EXPECT_NE(found.error().message.find("train.lr was \"0.001\" and is \"0.003\""),
            std::string::npos)
      << found.error().message;
}

TEST_F(CheckpointTest, AFailedSaveLeavesTheEarlierOne) {
  save(10);
  // A folder in the way of a file: creating it fails as a full disk does.
  const Checkpoints checkpoints(place(1), [&](std::string_view point) {
    if (point == "begin") {
      std::filesystem::create_directory(file("step-000020.tmp", "moments.safetensors"));
    }
  });
  const LoopState loop{.step = 20};
  const auto saved = checkpoints.save({loop, kIdentity});
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, ErrorCode::storage);
  EXPECT_EQ(newest(), 10);
  EXPECT_FALSE(base::exists(base::join(folder_, "step-000020.tmp")));
}

}  // namespace
}  // namespace retort::train
