// A disk that fails, and a process that is killed, at every single step of writing the index of the
// records and its filters: what was acknowledged is found afterwards.
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <filesystem>
#include <set>

#include "base/fault_calls.h"
#include "corpus/key_filter_internal.h"
#include "corpus/record_index.h"
#include "corpus/testing_internal.h"

namespace retort::corpus {
namespace {

namespace fs = std::filesystem;
using base::faults::Fault;

constexpr int kBefore = 255;  // shards: the next one makes a filter, and that one of sixteen
constexpr int kMore = 2;
constexpr int kRows = 3;
constexpr int kNotReached = 20;
constexpr int kNoStorageError = 21;

crypto::Digest key_of(int shard, int row) {
  return crypto::sha256(fmt::format("{} {}", shard, row));
}
std::string shard_name(int shard) {
  return crypto::to_hex(crypto::sha256(fmt::format("shard {}", shard)));
}

Result<void> write_shard(const std::string& ledger, int shard) {
  RecordIndexWriter writer("test");
  for (int row = 0; row < kRows; ++row) {
    RETORT_TRY_VOID(writer.add(crypto::to_hex(key_of(shard, row)), "train", {}));
  }
  RETORT_TRY_VOID(writer.finish(ledger, shard_name(shard), 1));
  return {};
}

std::set<int64_t> run_child(const std::string& ledger, Fault fault, int64_t at, int& status) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    base::faults::arm(fault, at);
    bool other_error = false;
    for (int64_t shard = kBefore; shard < kBefore + kMore; ++shard) {
      const auto written = write_shard(ledger, static_cast<int>(shard));
      if (written) {
        ::syscall(SYS_write, ends[1], &shard, sizeof shard);
      } else {
        other_error = other_error || written.error().code != ErrorCode::storage;
      }
    }
    ::_exit(other_error ? kNoStorageError : base::faults::fired() ? 0 : kNotReached);
  }
  ::close(ends[1]);
  std::set<int64_t> acknowledged;
  int64_t shard = 0;
  while (::read(ends[0], &shard, sizeof shard) == sizeof shard) acknowledged.insert(shard);
  ::close(ends[0]);
  ::waitpid(child, &status, 0);
  return acknowledged;
}

void expect_found(const std::string& ledger, const std::set<int64_t>& acknowledged) {
  const auto index = RecordIndex::open(ledger);
  ASSERT_TRUE(index.ok()) << index.error().text();
  const auto checked = index->check();
  ASSERT_TRUE(checked.ok()) << checked.error().text();
  std::set<int64_t> there = acknowledged;
  for (int shard = 0; shard < kBefore; shard += 17) there.insert(shard);
  for (const int64_t shard : there) {
    for (int row = 0; row < kRows; ++row) {
      const auto found = index->find(key_of(static_cast<int>(shard), row));
      ASSERT_TRUE(found.ok()) << found.error().text();
      const std::vector<RecordPlace> wanted{
          {shard_name(static_cast<int>(shard)), static_cast<uint32_t>(row)}};
      EXPECT_EQ(*found, wanted);
    }
  }
}

void at_every_step(Fault fault, const std::string& name) {
  const std::string before = testing::scratch("index_fault_before_" + name);
  for (int shard = 0; shard < kBefore; ++shard) ASSERT_TRUE(write_shard(before, shard).ok());
  int64_t steps = 0;
  for (bool reached = true; reached; ++steps) {
    const std::string ledger = testing::scratch("index_fault_" + name);
    fs::copy(before, ledger, fs::copy_options::recursive);
    int status = 0;
    const auto acknowledged = run_child(ledger, fault, steps, status);
    const int code = WIFSIGNALED(status) ? 0 : WEXITSTATUS(status);
    ASSERT_NE(code, kNoStorageError) << "step " << steps << " failed without a storage error";
    reached = code != kNotReached;
    if (!reached || fault == Fault::short_write) {
      EXPECT_EQ(acknowledged.size(), size_t{kMore});
    }
    expect_found(ledger, acknowledged);
    // The next writer makes up for what was left undone.
    for (int shard = kBefore; shard <= kBefore + kMore; ++shard) {
      ASSERT_TRUE(write_shard(ledger, shard).ok());
    }
    expect_found(ledger, {kBefore, kBefore + 1, kBefore + kMore});
    if (::testing::Test::HasFailure()) FAIL() << "step " << steps;
  }
  EXPECT_GT(steps, 10) << "calls are no longer seen";
}

TEST(IndexFaultTest, KilledBeforeEveryCall) {
  at_every_step(Fault::kill, "kill");
}
TEST(IndexFaultTest, KilledInTheMiddleOfEveryWrite) {
  at_every_step(Fault::kill_torn, "torn");
}
TEST(IndexFaultTest, ADiskThatIsFullFromEveryWriteOn) {
  at_every_step(Fault::no_space, "full");
}
TEST(IndexFaultTest, EveryWriteSyncAndRenameFailsOnce) {
  at_every_step(Fault::io_error, "io");
}
TEST(IndexFaultTest, EveryWriteIsShort) {
  at_every_step(Fault::short_write, "short");
}

}  // namespace
}  // namespace retort::corpus
