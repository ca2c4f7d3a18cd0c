#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <numeric>
#include <thread>

#include "base/address.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/options.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/random.h"

namespace retort::base {
namespace {

std::string scratch(const std::string& name) {
  const std::string folder = ::testing::TempDir() + "retort_base_" + name;
  EXPECT_TRUE(remove_all(folder).ok());
  EXPECT_TRUE(make_directories(folder).ok());
  return folder;
}

Result<int> half(int value) {
  if (value % 2 != 0) return bad_input("odd", "value", "give an even one");
  return value / 2;
}
Result<int> quarter(int value) {
  RETORT_TRY(const int once, half(value));
  return half(once);
}

TEST(ResultTest, PassesErrorsUpAndMapsThemToExitCodes) {
  EXPECT_EQ(*quarter(12), 3);
  const auto failed = quarter(6);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().text(), "odd (value); give an even one");
  EXPECT_EQ(failed.error().at("run.toml").where, "run.toml: value");
  EXPECT_EQ(exit_code(failed.error().code), 4);
  EXPECT_EQ(exit_code(ErrorCode::refused_by_terms), 3);
  EXPECT_EQ(exit_code(ErrorCode::interrupted), 130);
}

TEST(FilesTest, AtomicWriteReplacesAndLeavesNoTemporary) {
  const std::string folder = scratch("atomic");
  const std::string path = join(folder, "a.txt");
  ASSERT_TRUE(write_file_atomic(path, "one").ok());
  ASSERT_TRUE(write_file_atomic(path, "two").ok());
  EXPECT_EQ(*read_file(path), "two");
  EXPECT_EQ(*list_directory(folder), std::vector<std::string>{"a.txt"});
  EXPECT_EQ(read_file(path, 2).error().code, ErrorCode::bad_input);
  EXPECT_EQ(read_file(join(folder, "none")).error().code, ErrorCode::not_found);
}

TEST(FilesTest, PublishedDirectoryReplacesTheOldOne) {
  const std::string folder = scratch("publish");
  for (const char* text : {"first", "second"}) {
    ASSERT_TRUE(make_directories(join(folder, "new")).ok());
    ASSERT_TRUE(write_file_atomic(join(folder, "new/x"), text).ok());
    ASSERT_TRUE(publish_directory(join(folder, "new"), join(folder, "final")).ok());
    EXPECT_EQ(*read_file(join(folder, "final/x")), text);
  }
  EXPECT_EQ(*list_directory(folder), std::vector<std::string>{"final"});
}

TEST(FilesTest, LockKeepsASecondHolderOut) {
  const std::string path = join(scratch("lock"), "lock");
  {
    auto first = FileLock::acquire(path);
    ASSERT_TRUE(first.ok());
    const auto second = FileLock::acquire(path);
    ASSERT_FALSE(second.ok());
    EXPECT_NE(second.error().message.find(std::to_string(getpid())), std::string::npos);
  }
  EXPECT_TRUE(FileLock::acquire(path).ok());
}

TEST(RandomTest, IsAFunctionOfSeedAndPosition) {
  Random a(7, 1);
  std::vector<uint64_t> first;
  for (int i = 0; i < 5; ++i) first.push_back(a.next());
  Random b(7, 1);
  b.seek(3);
  EXPECT_EQ(b.next(), first[3]);
  EXPECT_NE(Random(7, 2).next(), first[0]);
  EXPECT_NE(Random(8, 1).next(), first[0]);
}

TEST(RandomTest, UniformAndNormalHaveTheirMoments) {
  Random random(3);
  double sum = 0;
  double squares = 0;
  double uniform = 0;
  constexpr int kDraws = 200'000;
  for (int i = 0; i < kDraws; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
    uniform += random.uniform();
  }
  EXPECT_NEAR(sum / kDraws, 0, 0.01);
  EXPECT_NEAR(squares / kDraws, 1, 0.02);
  EXPECT_NEAR(uniform / kDraws, 0.5, 0.005);
}

TEST(RandomTest, PermutationHoldsEachIndexOnce) {
  auto order = permutation(1000, 1, 2);
  EXPECT_NE(order, permutation(1000, 1, 3));
  EXPECT_EQ(order, permutation(1000, 1, 2));
  std::sort(order.begin(), order.end());
  for (uint32_t i = 0; i < 1000; ++i) ASSERT_EQ(order[i], i);
}

TEST(ParallelTest, CoversEachIndexOnce) {
  for (const int64_t n : {0, 1, 2, 3, 7, 1000}) {
    std::vector<std::atomic<int>> seen(static_cast<size_t>(n));
    parallel_for(n, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
    });
    for (const auto& count : seen) ASSERT_EQ(count, 1);
  }
}

// Memory for the threads of a team may be laid out by one thread and used by the team of another.
TEST(ParallelTest, TheNumberOfThreadsIsTheSameWhoeverAsks) {
  const int before = thread_count();
  for (const int wanted : {1, 3}) {
    set_thread_count(wanted);
    int counted = 0;
    std::atomic<int> members = 0;
    std::thread([&] {
      counted = thread_count();
      parallel_team([&](int, int) { ++members; });
    }).join();
    EXPECT_EQ(counted, wanted);
    EXPECT_EQ(members, wanted);
  }
  set_thread_count(before);
}

TEST(OptionsTest, SetsValuesAndNamesTheNearestKnownOption) {
  double lr = 1e-3;
  int64_t epochs = 6;
  std::vector<std::string> formats;
  std::map<std::string, std::string> words;
  Options table;
  table.set_prefix("train");
  table.add("lr", &lr, "peak learning rate");
  table.add("epochs", &epochs, "passes");
  table.add("formats", &formats, "files");
  table.add("words", &words, "lists");
  EXPECT_TRUE(table.set("train.lr", {"3e-4"}).ok());
  EXPECT_TRUE(table.set("train.formats", {"a", "b"}).ok());
  EXPECT_TRUE(table.set("train.words.noun", {"n.txt"}).ok());
  EXPECT_DOUBLE_EQ(lr, 3e-4);
  EXPECT_EQ(formats.size(), 2U);
  EXPECT_EQ(words["noun"], "n.txt");
  EXPECT_NE(table.set("train.epocs", {"2"}).error().hint.find("train.epochs"), std::string::npos);
  for (const char* bad : {"", "x", "1.5", "1 ", "99999999999999999999"}) {
    EXPECT_FALSE(table.set("train.epochs", {bad}).ok()) << bad;
  }
  EXPECT_FALSE(table.set("train.lr", {"nan"}).ok());
  EXPECT_FALSE(table.set("train.lr", {"1", "2"}).ok());
}

TEST(ClockTest, DatesRoundTripAndWrongOnesAreRefused) {
  EXPECT_EQ(iso_date(parse_iso_date("2026-08-14")), "2026-08-14");
  EXPECT_EQ(iso_time(parse_iso_date("2026-08-14") + 3'723'000), "2026-08-14T01:02:03Z");
  for (const char* bad :
       {"2026-02-30", "2026-1-1", "hello", "2026-08-14x", "", "2026- 8-14", "2026-08-+1",
        "-026-08-14", " 026-08-14", "2026-08 14", "2026-08-\xd9\xa1"}) {
    EXPECT_EQ(parse_iso_date(bad), -1) << bad;
  }
  EXPECT_EQ(parse_iso_date(std::string("2026-08-1\0", 10)), -1);
  EXPECT_EQ(human_duration(185), "3 min 05 s");
}

TEST(AddressTest, OneListMeansOneThing) {
  EXPECT_EQ(parse_address_block("203.0.113.7")->bits, 128);
  EXPECT_EQ(parse_address_block("10.0.0.0/8")->bits, 104);
  EXPECT_EQ(parse_address_block("0.0.0.0/0")->bits, 96);
  EXPECT_EQ(parse_address_block("2001:db8::/32")->bits, 32);
  for (const char* bad : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-0", "10.0.0.0/+8",
                          "10.0.0.0/8 ", "10.0.0/8", "::/129", "::/-0", "localhost"}) {
    EXPECT_FALSE(parse_address_block(bad)) << bad;
  }
  const std::string hidden("10.0.0.1\0.example.com", 21);
  EXPECT_FALSE(parse_address(hidden)) << "what stands behind a NUL is looked at too";
  EXPECT_FALSE(parse_address_block(hidden));
  EXPECT_FALSE(parse_address_block(hidden + "/8"));
}

TEST(ProgressTest, NumbersReadWell) {
  EXPECT_EQ(clipped("short", 5), "short");
  EXPECT_EQ(clipped("caf\u00e9 au lait", 4), "caf\u2026") << "no half character";
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(grouped(-1000), "-1,000");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(human_bytes(98362432), "93.8 MiB");
}

}  // namespace
}  // namespace retort::base
