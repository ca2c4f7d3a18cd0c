#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/files.h"
#include "store/database.h"

namespace retort::store {
namespace {

std::string scratch(const std::string& name) {
  const std::string path = ::testing::TempDir() + "retort_store_" + name + ".db";
  EXPECT_TRUE(base::remove_all(path).ok());
  return path;
}

int64_t count(Database& database) {
  auto statement = database.prepare("SELECT count(*) FROM t");
  EXPECT_TRUE(statement.ok() && statement->step().value_or(false));
  return statement->integer(0);
}

TEST(StoreTest, KeepsValuesOfEveryKind) {
  auto database = *Database::open(scratch("values"));
  ASSERT_TRUE(database->execute("CREATE TABLE t (a INTEGER, b TEXT, c BLOB, d TEXT)").ok());
  auto insert = *database->prepare("INSERT INTO t VALUES (?1, ?2, ?3, ?4)");
  const std::string bytes("\0x\xff", 3);
  ASSERT_TRUE(insert.bind(1, int64_t{-5}).bind(2, "ü").bind_blob(3, bytes).bind_null(4).run().ok());
  ASSERT_TRUE(insert.bind(1, int64_t{7}).bind(2, "").bind_blob(3, {}).run().ok());
  auto select = *database->prepare("SELECT * FROM t ORDER BY a");
  ASSERT_TRUE(*select.step());
  EXPECT_EQ(select.integer(0), -5);
  EXPECT_EQ(select.text(1), "ü");
  EXPECT_EQ(select.blob(2), bytes);
  EXPECT_TRUE(select.is_null(3));
  ASSERT_TRUE(*select.step());
  EXPECT_FALSE(select.is_null(1));
  EXPECT_TRUE(select.is_null(3)) << "bindings do not carry over";
  EXPECT_FALSE(*select.step());
}

TEST(StoreTest, UsesTheSettingsThatLoseNothing) {
  auto database = *Database::open(scratch("settings"));
  for (const auto& [pragma, wanted] :
       std::vector<std::pair<std::string, std::string>>{{"PRAGMA journal_mode", "truncate"},
                                                        {"PRAGMA synchronous", "2"},
                                                        {"PRAGMA foreign_keys", "1"}}) {
    auto statement = *database->prepare(pragma);
    ASSERT_TRUE(*statement.step());
    EXPECT_EQ(statement.text(0), wanted) << pragma;
  }
}

// What tells a reader that it need not read again must not miss a commit, nor believe one that was
// undone.
TEST(StoreTest, TheCountOfChangesShowsEveryCommitOfOthers) {
  const std::string path = scratch("count");
  auto writer = *Database::open(path);
  ASSERT_TRUE(writer->execute("CREATE TABLE t (a); INSERT INTO t VALUES (1)").ok());
  auto reader = *Database::open(path);
  auto select = *reader->prepare("SELECT a FROM t");
  ASSERT_TRUE(*select.step());
  const int64_t seen = reader->change_count();
  select.reset();
  EXPECT_GE(seen, 0);
  {
    auto transaction = *writer->begin();
    ASSERT_TRUE(writer->execute("UPDATE t SET a = 2").ok());
    EXPECT_EQ(reader->change_count(), seen) << "not before the commit";
  }
  EXPECT_EQ(reader->change_count(), seen) << "it was undone";
  int64_t before = seen;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(writer->execute("UPDATE t SET a = a + 1").ok());
    EXPECT_NE(reader->change_count(), before);
    before = reader->change_count();
  }
  ASSERT_TRUE(*select.step());
  EXPECT_EQ(select.integer(0), 4);
  EXPECT_EQ(reader->change_count(), before);
}

TEST(StoreTest, TransactionIsUndoneWithoutCommit) {
  auto database = *Database::open(scratch("undo"));
  ASSERT_TRUE(database->execute("CREATE TABLE t (a)").ok());
  {
    auto transaction = *database->begin();
    ASSERT_TRUE(database->execute("INSERT INTO t VALUES (1)").ok());
  }
  EXPECT_EQ(count(*database), 0);
  {
    auto transaction = *database->begin();
    ASSERT_TRUE(database->execute("INSERT INTO t VALUES (1)").ok());
    ASSERT_TRUE(transaction.commit().ok());
  }
  EXPECT_EQ(count(*database), 1);
}

TEST(StoreTest, SaysThatAnotherOneHoldsTheLock) {
  const std::string path = scratch("busy");
  auto first = *Database::open(path);
  ASSERT_TRUE(first->execute("CREATE TABLE t (a)").ok());
  auto second = *Database::open(path, {.busy_timeout_ms = 20});
  auto held = *first->begin();
  const auto refused = second->begin();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::storage);
  EXPECT_NE(refused.error().text().find("another process"), std::string::npos);
  EXPECT_EQ(count(*second), 0) << "reading goes on meanwhile";
}

TEST(StoreTest, SaysThatTheDiskIsFull) {
  auto database = *Database::open(scratch("full"));
  ASSERT_TRUE(database->execute("CREATE TABLE t (a); PRAGMA max_page_count=8").ok());
  auto insert = *database->prepare("INSERT INTO t VALUES (?1)");
  Result<void> failed;
  {
    auto transaction = *database->begin();
    failed = insert.bind(1, std::string(100'000, 'x')).run();
  }
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, ErrorCode::storage);
  EXPECT_NE(failed.error().text().find("full"), std::string::npos) << failed.error().text();
  EXPECT_TRUE(insert.bind(1, "small").run().ok()) << "works again with room";
}

TEST(StoreTest, FindsDamage) {
  const std::string path = scratch("damage");
  {
    auto database = *Database::open(path);
    ASSERT_TRUE(database->execute("CREATE TABLE t (a)").ok());
    auto insert = *database->prepare("INSERT INTO t VALUES (?1)");
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(insert.bind(1, std::string(900, 'x')).run().ok());
    }
    ASSERT_TRUE(database->check_integrity().ok());
  }
  std::string bytes = *base::read_file(path);
  std::fill(bytes.begin() + 8192, bytes.begin() + 8192 + 64, '\x55');
  ASSERT_TRUE(base::write_file_atomic(path, bytes).ok());
  const auto checked = (*Database::open(path))->check_integrity();
  ASSERT_FALSE(checked.ok());
  EXPECT_NE(checked.error().text().find("damaged"), std::string::npos);

  ASSERT_TRUE(base::write_file_atomic(path, "This is no database, but a text.").ok());
  const auto opened = Database::open(path);
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.error().text().find("damaged"), std::string::npos) << opened.error().text();
  EXPECT_EQ(opened.error().where, path);
}

TEST(StoreTest, SaysThatItCannotBeOpened) {
  EXPECT_EQ(Database::open(::testing::TempDir() + "none/x.db").error().code, ErrorCode::storage);
  EXPECT_EQ(Database::open(scratch("none"), {.create = false}).error().code, ErrorCode::not_found);
}

TEST(StoreTest, CommittedMeansKeptWhenTheProcessIsKilled) {
  const std::string path = scratch("killed");
  { ASSERT_TRUE((*Database::open(path))->execute("CREATE TABLE t (a)").ok()); }
  const pid_t child = ::fork();
  if (child == 0) {
    auto database = *Database::open(path);
    auto committed = *database->begin();
    (void)database->execute("INSERT INTO t VALUES (1)");
    (void)committed.commit();
    auto open = *database->begin();
    (void)database->execute("INSERT INTO t VALUES (2)");
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(count(*(*Database::open(path))), 1);
}

}  // namespace
}  // namespace retort::store
