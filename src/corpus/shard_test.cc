#include "corpus/shard.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/random.h"
#include "corpus/shard_internal.h"
#include "corpus/testing_internal.h"
#include "corpus/zstd_internal.h"
#include "store/database.h"

namespace retort::corpus {
namespace {

using testing::has;
using testing::Workshop;

std::set<std::string> sealed_keys(Workshop& shop) {
  std::set<std::string> keys;
  const auto cleared = shop.clearance().clear<TrainGenerative>(shop.selection());
  EXPECT_TRUE(cleared.ok()) << cleared.error().text();
  if (!cleared) return keys;
  for (const auto& record : cleared->records()) EXPECT_TRUE(keys.insert(record.key).second);
  return keys;
}

void change_database(Workshop& shop, const std::string& sql) {
  auto database = *store::Database::open(shop.database());
  const auto done = database->execute(sql);
  ASSERT_TRUE(done.ok()) << done.error().text();
}

std::string refusal_of(const std::string& path, ledger::Ledger& log) {
  const auto shard = Shard::open(path);
  if (!shard) return shard.error().text();
  const auto checked = verify(*shard, log);
  if (checked) return "";
  EXPECT_EQ(checked.error().code, ErrorCode::bad_input);
  return checked.error().text();
}

// The shard's lines through `change`, under the same name.
void rewrite(const std::string& path,
             const std::function<void(std::vector<std::string>&)>& change) {
  const std::string bytes = *base::read_file(path);
  std::vector<std::string> lines;
  {
    ZstdLines reader(bytes, path);
    while (true) {
      const auto block = reader.next();
      ASSERT_TRUE(block.ok()) << block.error().text();
      if (block->empty()) break;
      lines.insert(lines.end(), block->begin(), block->end());
    }
  }
  change(lines);
  auto writer = *ZstdWriter::create(path, 3);
  for (const auto& line : lines) ASSERT_TRUE(writer.write(line + "\n").ok());
  ASSERT_TRUE(writer.finish().ok());
}

TEST(ShardTest, SealsWhatIsDoneOnceAndVerifies) {
  Workshop shop("seals");
  auto gathering = shop.gathering();
  const auto bound = shop.bind({});
  shop.gather(*gathering, 0, 10, bound);
  auto report = shop.seal(*gathering, 4);
  EXPECT_EQ(report.records, 10);
  EXPECT_EQ(report.already, 0);
  ASSERT_EQ(report.shards.size(), 3u);
  const auto size = shop.log->head()->size;
  report = shop.seal(*gathering, 4);
  EXPECT_EQ(report.records, 0);
  EXPECT_EQ(report.already, 10);
  EXPECT_EQ(shop.log->head()->size, size) << "nothing new to log";
  shop.gather(*gathering, 10, 1, bound);
  EXPECT_EQ(shop.seal(*gathering, 4).records, 1);
  EXPECT_EQ(sealed_keys(shop).size(), 11u);
  const auto shards = list_shards(shop.shards());
  ASSERT_TRUE(shards.ok());
  for (const auto& shard : *shards) {
    const auto checked = verify(shard, *shop.log);
    EXPECT_TRUE(checked.ok()) << checked.error().text();
    const auto name = shard_name(shard.path());
    EXPECT_EQ(crypto::sha256_file_hex(shard.path())->substr(0, 16), name);
  }
  EXPECT_EQ(list_shards(shop.path("none")).error().code, ErrorCode::not_found);
}

TEST(ShardTest, AShardHoldsOneSetOfTermsOnly) {
  Workshop shop("pure");
  auto gathering = shop.gathering();
  const auto one = shop.bind({});
  const auto other = shop.bind({.series = "other"});
  shop.gather(*gathering, 0, 3, one);
  shop.gather(*gathering, 3, 3, other);
  shop.gather(*gathering, 6, 3, one);
  const auto report = shop.seal(*gathering);
  ASSERT_EQ(report.shards.size(), 2u);
  EXPECT_EQ(report.records, 9);
  const auto index = *ShardIndex::load(*shop.log);
  CodeBook codes(*shop.log);
  for (const auto& path : report.shards) {
    const auto read = *read_shard(*Shard::open(path), index, codes);
    for (const auto& record : read.records) EXPECT_EQ(record.terms, read.records[0].terms);
  }
}

TEST(ShardTest, TermsThatNobodyKnowsAreNotSealed) {
  Workshop shop("unknown");
  auto gathering = shop.gathering();
  shop.gather(*gathering, 0, 1, {{std::string(64, 'c')}});
  const auto sealed = seal(*gathering, *shop.log, shop.terms, {.folder = shop.shards()});
  ASSERT_FALSE(sealed.ok());
  EXPECT_TRUE(has(sealed.error().text(), "not known (cccccccccccccccc)"));
  EXPECT_FALSE(list_shards(shop.shards()).ok());
}

// After the file, before the leaf: the file waits under a pending name.
TEST(ShardTest, ACrashBeforeTheLeafIsMended) {
  Workshop shop("before_leaf");
  auto gathering = shop.gathering();
  shop.gather(*gathering, 0, 5, shop.bind({}));
  const std::string path = shop.seal(*gathering).shards.at(0);
  gathering = nullptr;
  ASSERT_EQ(::rename(path.c_str(), (path + ".pending").c_str()), 0);
  ASSERT_TRUE(base::write_file_atomic(shop.path("shards/new.pending"), "half a fi").ok());
  change_database(shop, "UPDATE batches SET digest = NULL");
  ASSERT_TRUE(base::remove_all(shop.path("ledger")).ok());  // a log that knows nothing of it
  shop.open_log();
  gathering = shop.gathering();
  EXPECT_EQ(shop.seal(*gathering).records, 5);
  EXPECT_EQ(sealed_keys(shop).size(), 5u);
  EXPECT_EQ(base::list_directory(shop.shards())->size(), 2u) << "one shard and its columns";
}

// After the leaf, before the file has its name.
TEST(ShardTest, ACrashAfterTheLeafIsMended) {
  Workshop shop("after_leaf");
  auto gathering = shop.gathering();
  shop.gather(*gathering, 0, 5, shop.bind({}));
  const std::string path = shop.seal(*gathering).shards.at(0);
  gathering = nullptr;
  ASSERT_EQ(::rename(path.c_str(), (path + ".pending").c_str()), 0);
  change_database(shop, "UPDATE batches SET digest = NULL");
  const auto size = shop.log->head()->size;
  gathering = shop.gathering();
  const auto report = shop.seal(*gathering);
  EXPECT_EQ(report.records, 0);
  EXPECT_EQ(report.already, 5);
  EXPECT_EQ(shop.log->head()->size, size);
  EXPECT_EQ(sealed_keys(shop).size(), 5u);
}

// After leaf and name, before the state: the answers that came since go into another shard.
TEST(ShardTest, ACrashBeforeTheStateIsMended) {
  Workshop shop("before_state");
  auto gathering = shop.gathering();
  const auto bound = shop.bind({});
  shop.gather(*gathering, 0, 5, bound);
  shop.seal(*gathering);
  gathering = nullptr;
  change_database(shop, "UPDATE batches SET digest = NULL");
  gathering = shop.gathering();
  shop.gather(*gathering, 5, 2, bound);
  const auto report = shop.seal(*gathering);
  EXPECT_EQ(report.records, 2);
  EXPECT_EQ(report.already, 5);
  EXPECT_EQ(gathering->counts()->sealed, 7);
  EXPECT_EQ(sealed_keys(shop).size(), 7u);
}

TEST(ShardTest, AShardThatIsGoneIsWrittenAgain) {
  Workshop shop("gone");
  auto gathering = shop.gathering();
  shop.gather(*gathering, 0, 5, shop.bind({}));
  const std::string path = shop.seal(*gathering).shards.at(0);
  ASSERT_TRUE(base::remove_all(path).ok());
  const auto report = shop.seal(*gathering);
  EXPECT_EQ(report.records, 5);
  EXPECT_EQ(report.shards.at(0), path) << "the same bytes";
}

TEST(ShardTest, KilledAtAnyTimeEveryAnswerIsSealedOnce) {
  Workshop shop("killed_sealing");
  const auto bound = shop.bind({});
  base::Random random(5);
  for (int round = 0; round < 12; ++round) {
    shop.log = nullptr;
    const pid_t child = ::fork();
    if (child == 0) {
      shop.open_log();
      auto gathering = shop.gathering();
      for (int64_t i = 0; i < 1000; ++i) {
        const int64_t id = round * 1000 + i;
        (void)gathering->plan({testing::request(id, bound)});
        for (const auto& job : gathering->claim(1).value_or({})) {
          (void)gathering->commit(job, testing::answer(id));
        }
        (void)seal(*gathering, *shop.log, shop.terms, {.folder = shop.shards()});
      }
      ::_exit(0);
    }
    // Once it is at work, however slow the machine.
    const size_t before = list_shards(shop.shards()).value_or({}).size();
    for (int wait = 0; wait < 1000; ++wait) {
      if (list_shards(shop.shards()).value_or({}).size() > before) break;
      ::usleep(5'000);
    }
    ::usleep(static_cast<useconds_t>(random.below(40'000)));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
  }
  shop.open_log();
  auto gathering = shop.gathering();
  shop.seal(*gathering);
  const auto counts = *gathering->counts();
  EXPECT_GT(counts.done, 5);
  EXPECT_EQ(counts.sealed, counts.done);
  EXPECT_EQ(static_cast<int64_t>(sealed_keys(shop).size()), counts.done);
}

TEST(ShardTest, OneChangedByteIsRefused) {
  Workshop shop("byte");
  const std::string path = shop.sealed(20).shards.at(0);
  const std::string good = *base::read_file(path);
  for (size_t at = 0; at < good.size(); at += 1 + good.size() / 40) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 4);
    ASSERT_TRUE(base::write_file_atomic(path, bad).ok());
    const std::string text = refusal_of(path, *shop.log);
    EXPECT_TRUE(has(text, path)) << at;
  }
  ASSERT_TRUE(base::write_file_atomic(path, good.substr(0, good.size() / 2)).ok());
  EXPECT_TRUE(has(refusal_of(path, *shop.log), "cannot be unpacked"));
  ASSERT_TRUE(base::write_file_atomic(path, good).ok());
  EXPECT_EQ(refusal_of(path, *shop.log), "");
}

TEST(ShardTest, AChangedColumnIsRefused) {
  Workshop shop("column");
  const std::string path = shop.sealed(3).shards.at(0);
  const std::string columns = columns_path(path);
  std::string bytes = *base::read_file(columns);
  ASSERT_GT(bytes.size(), 3u * 39);
  bytes[40] = static_cast<char>(bytes[40] ^ 1);
  ASSERT_TRUE(base::write_file_atomic(columns, bytes).ok());
  EXPECT_TRUE(has(refusal_of(path, *shop.log), "columns were changed"));
  EXPECT_TRUE(has(refusal_of(path, *shop.log), columns));
  ASSERT_TRUE(base::remove_all(columns).ok());
  EXPECT_TRUE(has(refusal_of(path, *shop.log), "columns are missing"));
}

TEST(ShardTest, AChangedRecordIsNamed) {
  Workshop shop("record");
  const std::string path = shop.sealed(6).shards.at(0);
  std::string key;
  rewrite(path, [&](std::vector<std::string>& lines) {
    auto value = *json::parse(lines[4]);
    key = *value.find("retort")->string_at("key");
    value.find("messages")->as_array().back().set("content", "Another answer.");
    lines[4] = json::dump(value);
  });
  const std::string text = refusal_of(path, *shop.log);
  EXPECT_TRUE(has(text, "record 4"));
  EXPECT_TRUE(has(text, key.substr(0, 16)));
}

TEST(ShardTest, ARemovedRecordIsNoticed) {
  Workshop shop("removed");
  const std::string path = shop.sealed(6).shards.at(0);
  const std::string good = *base::read_file(path);
  rewrite(path, [](auto& lines) { lines.pop_back(); });
  EXPECT_TRUE(has(refusal_of(path, *shop.log), "1 of the shard's 6 records were taken away"));
  ASSERT_TRUE(base::write_file_atomic(path, good).ok());
  rewrite(path, [](auto& lines) { lines.erase(lines.begin() + 2); });
  EXPECT_TRUE(has(refusal_of(path, *shop.log), "record 2"));
}

TEST(ShardTest, AnUnloggedOrRenamedShardIsRefused) {
  Workshop shop("unlogged");
  Workshop other("unlogged_other");
  const std::string path = shop.sealed(3).shards.at(0);
  EXPECT_TRUE(has(refusal_of(path, *other.log), "not in the log"));
  const std::string renamed = shop.path("shards/0000000000000000.jsonl.zst");
  ASSERT_EQ(::rename(path.c_str(), renamed.c_str()), 0);
  EXPECT_TRUE(has(refusal_of(renamed, *shop.log), "name that it was sealed under"));
}

TEST(ZstdTest, RefusesWhatIsNoShard) {
  for (const std::string& bytes : {std::string("text"), std::string(100, '\0')}) {
    ZstdLines lines(bytes, "f");
    EXPECT_EQ(lines.next().error().code, ErrorCode::bad_input);
  }
  Workshop shop("zstd");
  auto writer = *ZstdWriter::create(shop.path("x"), 3);
  ASSERT_TRUE(writer.write("one\ntwo").ok());
  ASSERT_TRUE(writer.finish().ok());
  const std::string bytes = *base::read_file(shop.path("x"));
  ZstdLines lines(bytes, "f");
  EXPECT_EQ(lines.next()->size(), 1u);
  EXPECT_TRUE(has(lines.next().error().text(), "has no end"));
}

}  // namespace
}  // namespace retort::corpus
