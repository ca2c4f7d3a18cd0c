// A disk that fails, and a process that is killed, at every single step of an append to the log:
// what was acknowledged is there afterwards and verifies; what failed said so.
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/fault_calls.h"
#include "base/files.h"
#include "ledger/ledger.h"

namespace retort::ledger {
namespace {

namespace fs = std::filesystem;
using base::faults::Fault;

constexpr int kAppends = 2;
constexpr int kNotReached = 20;
constexpr int kNoStorageError = 21;

std::string fault_scratch(const std::string& name) {
  const std::string folder = ::testing::TempDir() + "retort_fault_" + name;
  EXPECT_TRUE(base::remove_all(folder).ok());
  return folder;
}

std::string name_of(int i) {
  return fmt::format("name {}", i);
}

// The child's part: entries with names, each said to `pipe` once the log has acknowledged it. What
// fails is tried once more, as a caller would.
[[noreturn]] void append_some(const std::string& folder, int pipe, Fault fault, int64_t at) {
  base::faults::arm(fault, at);
  bool other_error = false;
  for (int round = 0; round < 2; ++round) {
    auto ledger = Ledger::open(folder);
    if (!ledger) {
      other_error = other_error || ledger.error().code != ErrorCode::storage;
      continue;
    }
    for (int i = 0; i < kAppends; ++i) {
      const auto index = (*ledger)->append("own", name_of(i), json::Value(i));
      if (!index) {
        const Error& error = index.error();
        other_error = other_error || error.code != ErrorCode::storage || error.text().empty();
        continue;
      }
      const int64_t said[] = {i, *index};
      ::syscall(SYS_write, pipe, said, sizeof said);
    }
  }
  ::_exit(other_error ? kNoStorageError : base::faults::fired() ? 0 : kNotReached);
}

struct Outcome {
  std::map<int64_t, int64_t> acknowledged;  // number to entry
  int status = 0;
};
Outcome run_child(const std::string& folder, Fault fault, int64_t at) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    append_some(folder, ends[1], fault, at);
  }
  ::close(ends[1]);
  Outcome out;
  int64_t said[2];
  while (::read(ends[0], said, sizeof said) == sizeof said) out.acknowledged[said[0]] = said[1];
  ::close(ends[0]);
  ::waitpid(child, &out.status, 0);
  return out;
}

// Opened again on a sound disk: all that was acknowledged, whole, and the log goes on.
void expect_sound(const std::string& folder, const Outcome& outcome) {
  auto ledger = Ledger::open(folder);
  ASSERT_TRUE(ledger.ok()) << ledger.error().text();
  const auto size = (*ledger)->verify();
  ASSERT_TRUE(size.ok()) << size.error().text();
  for (const auto& [number, index] : outcome.acknowledged) {
    const auto entry = (*ledger)->find("own", name_of(static_cast<int>(number)));
    ASSERT_TRUE(entry.ok()) << entry.error().text();
    EXPECT_EQ(entry->index, index);
    EXPECT_EQ(entry->body, json::Value(number));
  }
  const auto tiles = (*ledger)->verify_tiles();
  ASSERT_TRUE(tiles.ok()) << tiles.error().text();
  if (*size > 0) {
    EXPECT_EQ(*base::read_file(base::join(folder, "checkpoint")), *(*ledger)->checkpoint());
  }
  const auto again = (*ledger)->append("own", "afterwards", json::Value(1));
  ASSERT_TRUE(again.ok()) << again.error().text();
  EXPECT_EQ(*again, *size);
}

// The log's own, readable by nobody else, and no draft of one beside it.
void expect_one_key(const std::string& folder) {
  const auto names = *base::list_directory(folder);
  EXPECT_EQ(std::count_if(names.begin(), names.end(),
                          [](const auto& name) { return name.starts_with("key.pem"); }),
            1);
  struct stat info {};
  ASSERT_EQ(::stat(base::join(folder, "key.pem").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 077, 0u);
  EXPECT_TRUE(base::exists(base::join(folder, "verifier.key")));
}

constexpr int kNoLog = -1;

// `entries`: in the log before, so that the appends also fill a tile. kNoLog: nothing is there, and
// the log itself is made on the way: folder, key, database, verifier's key.
void at_every_step(const std::string& name, Fault fault, int entries) {
  const std::string before = fault_scratch(name + "_before");
  if (entries == kNoLog) {
    ASSERT_TRUE(base::make_directories(before).ok());
  } else {
    auto ledger = Ledger::open(before);
    ASSERT_TRUE(ledger.ok()) << ledger.error().text();
    std::vector<Draft> drafts;
    for (int i = 0; i < entries; ++i) drafts.push_back({.kind = "own", .body = json::Value(i)});
    if (entries > 0) {
      ASSERT_TRUE(*(*ledger)->append_all(0, std::move(drafts)));
    }
  }
  int64_t steps = 0;
  for (bool reached = true; reached; ++steps) {
    const std::string folder = fault_scratch(name);
    fs::copy(before, folder, fs::copy_options::recursive);
    const Outcome outcome = run_child(folder, fault, steps);
    const bool killed = WIFSIGNALED(outcome.status);
    const int code = killed ? 0 : WEXITSTATUS(outcome.status);
    ASSERT_NE(code, kNoStorageError) << "step " << steps << " failed without a storage error";
    ASSERT_TRUE(killed || code == 0 || code == kNotReached) << code;
    reached = code != kNotReached;
    const bool all = outcome.acknowledged.size() == kAppends;
    if (!reached || fault == Fault::short_write) {
      EXPECT_TRUE(all) << "step " << steps;
    }
    if (fault == Fault::io_error) {
      EXPECT_TRUE(all) << "a second try after step " << steps;
    }
    expect_sound(folder, outcome);
    if (entries == kNoLog) expect_one_key(folder);
    if (::testing::Test::HasFailure()) FAIL() << "step " << steps;
  }
  EXPECT_GT(steps, 40) << "calls are no longer seen";
}

TEST(LedgerFaultTest, KilledBeforeEveryCall) {
  at_every_step("kill", Fault::kill, 255);
}
TEST(LedgerFaultTest, KilledInTheMiddleOfEveryWrite) {
  at_every_step("torn", Fault::kill_torn, 255);
}
TEST(LedgerFaultTest, ADiskThatIsFullFromEveryWriteOn) {
  at_every_step("full", Fault::no_space, 255);
}
TEST(LedgerFaultTest, EveryWriteSyncAndRenameFailsOnce) {
  at_every_step("io", Fault::io_error, 255);
}
TEST(LedgerFaultTest, EveryWriteIsShort) {
  at_every_step("short", Fault::short_write, 255);
}
TEST(LedgerFaultTest, TheFirstEntriesAreThereOrNot) {
  at_every_step("first", Fault::kill, 0);
}
// The same of the log itself.
TEST(LedgerFaultTest, ANewLogIsKilledBeforeEveryCall) {
  at_every_step("new_kill", Fault::kill, kNoLog);
}
TEST(LedgerFaultTest, ANewLogIsKilledInTheMiddleOfEveryWrite) {
  at_every_step("new_torn", Fault::kill_torn, kNoLog);
}
TEST(LedgerFaultTest, ANewLogOnADiskThatIsFull) {
  at_every_step("new_full", Fault::no_space, kNoLog);
}
TEST(LedgerFaultTest, ANewLogWhoseWritesSyncsAndRenamesFailOnce) {
  at_every_step("new_io", Fault::io_error, kNoLog);
}
TEST(LedgerFaultTest, ANewLogWithShortWrites) {
  at_every_step("new_short", Fault::short_write, kNoLog);
}

}  // namespace
}  // namespace retort::ledger
