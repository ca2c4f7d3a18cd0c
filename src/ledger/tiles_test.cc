// The log as static files: what stands in them, and what becomes of them when somebody or something
// damages them.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "base/files.h"
#include "ledger/ledger.h"
#include "ledger/tiles_internal.h"
#include "store/database.h"

namespace retort::ledger {
namespace {

std::string tiles_scratch(const std::string& name) {
  const std::string folder = ::testing::TempDir() + "retort_tiles_" + name;
  EXPECT_TRUE(base::remove_all(folder).ok());
  return folder;
}

void grow(Ledger& ledger, int entries) {
  for (int i = 0; i < entries; ++i) ASSERT_TRUE(ledger.append("thing", "", json::Value(i)).ok());
}

std::string tile(const std::string& folder, const std::string& name) {
  return base::read_file(base::join(folder, "tile/" + name)).value_or("");
}

void damage(const std::string& folder, const std::string& name, const std::string& bytes) {
  ASSERT_TRUE(base::write_file_atomic(base::join(folder, "tile/" + name), bytes).ok());
}

// The tree as somebody reads it who has the checkpoint, the key and the files.
struct Mirror {
  std::vector<std::string> entries;
  std::vector<Digest> leaves;
};
Mirror mirror(const std::string& folder, int64_t size) {
  Mirror out;
  for (int64_t begin = 0; begin < size; begin += 256) {
    const int64_t width = std::min<int64_t>(256, size - begin);
    const std::string name =
        Tiles::index_path(begin / 256) + (width < 256 ? ".p/" + std::to_string(width) : "");
    const std::string bytes = tile(folder, "entries/" + name);
    std::string_view bundle = bytes;
    while (!bundle.empty()) {
      const size_t length = static_cast<size_t>(static_cast<unsigned char>(bundle[0])) << 8 |
                            static_cast<unsigned char>(bundle[1]);
      out.entries.emplace_back(bundle.substr(2, length));
      bundle.remove_prefix(2 + length);
    }
    const std::string hashes = tile(folder, "0/" + name);
    for (size_t at = 0; at + 32 <= hashes.size(); at += 32) {
      std::copy_n(hashes.begin() + static_cast<int64_t>(at), 32, out.leaves.emplace_back().begin());
    }
  }
  return out;
}

TEST(TilesTest, IndexesArePathsOfThreeDigits) {
  EXPECT_EQ(Tiles::index_path(0), "000");
  EXPECT_EQ(Tiles::index_path(999), "999");
  EXPECT_EQ(Tiles::index_path(1000), "x001/000");
  EXPECT_EQ(Tiles::index_path(1'234'067), "x001/x234/067");  // the specification's own
}

TEST(TilesTest, FilesHoldTheLogThatTheCheckpointSigns) {
  const std::string folder = tiles_scratch("holds");
  auto ledger = *Ledger::open(folder);
  for (const int more : {1, 2, 252, 1, 1, 30}) {
    grow(*ledger, more);
    const auto opened = open_checkpoint(*base::read_file(base::join(folder, "checkpoint")),
                                        ledger->origin(), ledger->public_key());
    ASSERT_TRUE(opened.ok()) << opened.error().text();
    const auto read = mirror(folder, opened->head.size);
    ASSERT_EQ(std::ssize(read.leaves), opened->head.size);
    ASSERT_EQ(std::ssize(read.entries), opened->head.size);
    EXPECT_EQ(tree_root(read.leaves), opened->head.root);
    for (size_t i = 0; i < read.entries.size(); ++i) {
      EXPECT_EQ(leaf_hash(read.entries[i]), read.leaves[i]) << i;
    }
  }
  // Level 1 has the roots of whole tiles; partial ones of a whole tile are gone.
  const auto read = mirror(folder, 287);
  EXPECT_EQ(tile(folder, "1/000.p/1"),
            crypto::as_bytes(tree_root(std::span(read.leaves).first(256))));
  EXPECT_FALSE(base::exists(base::join(folder, "tile/0/000.p")));
  EXPECT_FALSE(base::exists(base::join(folder, "tile/entries/000.p")));
  EXPECT_TRUE(base::exists(base::join(folder, "tile/0/001.p/1"))) << "of an earlier checkpoint";
  EXPECT_EQ(*ledger->verify_tiles(), 0);
}

TEST(TilesTest, MissingAndTornTilesAreDerivedAgain) {
  const std::string folder = tiles_scratch("torn");
  grow(**Ledger::open(folder), 300);
  const std::string whole = tile(folder, "0/000");
  const std::string newest = tile(folder, "entries/001.p/44");
  ASSERT_EQ(whole.size(), 8192u);
  // Nothing but the newest tiles is looked at when the log is opened.
  damage(folder, "0/000", whole.substr(0, 4000));
  EXPECT_EQ((*Ledger::open(folder))->verify_tiles().value_or(-1), 1);
  EXPECT_EQ(tile(folder, "0/000"), whole);
  for (const std::string& torn :
       {std::string(), newest.substr(0, 100), newest.substr(0, 100) + std::string(50, '\0')}) {
    damage(folder, "entries/001.p/44", torn);
    ASSERT_TRUE(Ledger::open(folder).ok());
    EXPECT_EQ(tile(folder, "entries/001.p/44"), newest);
  }
  ASSERT_TRUE(base::remove_all(base::join(folder, "tile")).ok());
  ASSERT_TRUE(Ledger::open(folder).ok());
  EXPECT_EQ(tile(folder, "0/000"), whole);
  EXPECT_EQ(tile(folder, "entries/001.p/44"), newest);
  // A checkpoint that was never written follows as well.
  ASSERT_TRUE(base::remove_all(base::join(folder, "checkpoint")).ok());
  EXPECT_EQ(*base::read_file(base::join(folder, "checkpoint")),
            *(*Ledger::open(folder))->checkpoint());
}

TEST(TilesTest, EditedCutAndReorderedTilesAreNamed) {
  const std::string folder = tiles_scratch("edited");
  grow(**Ledger::open(folder), 300);
  const auto refused = [&](const std::string& name, const std::string& bytes) {
    const std::string before = tile(folder, name);
    damage(folder, name, bytes);
    const auto checked = (*Ledger::open(folder))->verify_tiles();
    EXPECT_FALSE(checked.ok()) << name;
    EXPECT_EQ(tile(folder, name), bytes) << "evidence stays";
    damage(folder, name, before);
    return checked.ok() ? "" : checked.error().text();
  };
  std::string hashes = tile(folder, "0/000");
  hashes[32 * 7 + 5] ^= 1;
  EXPECT_NE(refused("0/000", hashes).find("from entry 7 on"), std::string::npos);
  hashes = tile(folder, "0/001.p/44");
  std::swap_ranges(hashes.begin(), hashes.begin() + 32, hashes.begin() + 32);
  EXPECT_NE(refused("0/001.p/44", hashes).find("from entry 256 on"), std::string::npos);
  std::string bundle = tile(folder, "entries/000");
  bundle.replace(bundle.find("\"body\":3"), 8, "\"body\":4");
  EXPECT_NE(refused("entries/000", bundle).find("from entry 3 on"), std::string::npos);
  EXPECT_NE(refused("0/000", hashes + tile(folder, "0/000")).find("entry 0"), std::string::npos);
  hashes = tile(folder, "1/000.p/1");
  hashes[0] ^= 1;
  EXPECT_NE(refused("1/000.p/1", hashes).find("from entry 0 on"), std::string::npos);
  // An old partial tile, and one of entries that never were.
  hashes = tile(folder, "0/001.p/9");
  hashes[40] ^= 1;
  EXPECT_NE(refused("0/001.p/9", hashes).find("from entry 257 on"), std::string::npos);
  damage(folder, "0/001.p/45", tile(folder, "0/001.p/44") + std::string(32, 'x'));
  EXPECT_FALSE((*Ledger::open(folder))->verify_tiles().ok());
}

// Writers that are killed anywhere leave a log without gaps, and tiles that the next opening mends.
TEST(TilesTest, ParallelWritersAreKilled) {
  const std::string folder = tiles_scratch("killed");
  ASSERT_TRUE(Ledger::open(folder).ok());
  for (int round = 0; round < 6; ++round) {
    std::vector<pid_t> children;
    for (int child = 0; child < 2; ++child) {
      const pid_t pid = ::fork();
      if (pid == 0) {
        auto ledger = *Ledger::open(folder);
        for (int i = 0; i < 1000; ++i) {
          if (!ledger->append("own", "", json::Value(i)).ok()) ::_exit(1);
        }
        ::_exit(0);
      }
      children.push_back(pid);
    }
    ::usleep(static_cast<useconds_t>(60'000 + 37'000 * round));
    for (const pid_t pid : children) {
      ::kill(pid, SIGKILL);
      int status = 0;
      ASSERT_EQ(::waitpid(pid, &status, 0), pid);
      ASSERT_FALSE(WIFEXITED(status)) << "a writer was refused";
    }
    auto ledger = *Ledger::open(folder);
    const auto size = ledger->verify();
    ASSERT_TRUE(size.ok()) << size.error().text();
    const auto tiles = ledger->verify_tiles();
    ASSERT_TRUE(tiles.ok()) << tiles.error().text();
    EXPECT_EQ(*base::read_file(base::join(folder, "checkpoint")), *ledger->checkpoint());
    const auto read = mirror(folder, *size);
    EXPECT_EQ(tree_root(read.leaves), ledger->head()->root);
  }
}

// A copy of the log that somebody set back, against what it published or somebody kept.
TEST(TilesTest, ARolledBackOrRewrittenLogIsFound) {
  const std::string folder = tiles_scratch("rolled");
  const std::string kept = tiles_scratch("kept");
  {
    auto ledger = *Ledger::open(folder);
    grow(*ledger, 5);
  }
  std::filesystem::copy(folder, kept, std::filesystem::copy_options::recursive);
  std::string checkpoint;
  {
    auto ledger = *Ledger::open(folder);
    grow(*ledger, 2);
    checkpoint = *ledger->checkpoint();
    EXPECT_TRUE(ledger->verify_against(checkpoint).ok());
    grow(*ledger, 1);
    EXPECT_TRUE(ledger->verify_against(checkpoint).ok()) << "an earlier state of the same log";
  }
  auto old_copy = *Ledger::open(kept);
  EXPECT_EQ(*old_copy->verify(), 5) << "by itself it is sound";
  EXPECT_NE(old_copy->verify_against(checkpoint).error().text().find("rolled back"),
            std::string::npos);
  ASSERT_TRUE(old_copy->append("another", "history", json::Value(1)).ok());
  ASSERT_TRUE(old_copy->append("another", "history2", json::Value(1)).ok());
  EXPECT_NE(old_copy->verify_against(checkpoint).error().text().find("exchanged"),
            std::string::npos);
  // The database alone is set back: the log refuses to go on and contradict what it published.
  std::filesystem::copy_file(base::join(kept, "log.db"), base::join(folder, "log.db"),
                             std::filesystem::copy_options::overwrite_existing);
  auto mixed = *Ledger::open(folder);
  EXPECT_FALSE(mixed->verify().ok());
  EXPECT_EQ(mixed->append("thing", "", json::Value(9)).error().code, ErrorCode::bad_input);
}

}  // namespace
}  // namespace retort::ledger
