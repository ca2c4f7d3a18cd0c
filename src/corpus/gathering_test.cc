#include "corpus/gathering.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "corpus/testing_internal.h"
#include "store/database.h"

namespace retort::corpus {
namespace {

using testing::answer;
using testing::has;
using testing::request;
using testing::scratch;
using testing::Workshop;

std::vector<Record> requests(int64_t count) {
  std::vector<Record> out;
  for (int64_t i = 0; i < count; ++i) out.push_back(request(i, {{std::string(64, 'a')}}));
  return out;
}

// Rows of the file as another connection sees them, so: what is committed.
int64_t committed(const std::string& path) {
  auto database = *store::Database::open(path, {.read_only = true});
  auto statement = *database->prepare("SELECT count(*) FROM answers");
  EXPECT_TRUE(statement.step().value_or(false));
  return statement.integer(0);
}

TEST(GatheringTest, PlansOnceClaimsInOrderAndCounts) {
  Workshop shop("plans");
  auto gathering = shop.gathering();
  EXPECT_EQ(*gathering->plan(requests(5)), 5);
  EXPECT_EQ(*gathering->plan(requests(7)), 2) << "five are there";
  const auto jobs = *gathering->claim(3);
  ASSERT_EQ(jobs.size(), 3u);
  EXPECT_EQ(jobs[1].request.messages, request(1, {}).messages);
  EXPECT_EQ(jobs[1].request.key, record_key(request(1, {})));
  EXPECT_EQ(jobs[1].request.principal, "tester");
  EXPECT_EQ(jobs[1].request.slots.at("noun"), "thing");
  EXPECT_EQ(jobs[1].attempts, 1);
  EXPECT_FALSE(jobs[1].possibly_sent);
  ASSERT_TRUE(gathering->commit(jobs[0], answer(0)).ok());
  ASSERT_TRUE(gathering->fail(jobs[1], {.reason = "busy", .retry_after_ms = 500}).ok());
  ASSERT_TRUE(gathering->fail(jobs[2], {.reason = "wrong", .retry = false, .cost_micros = 4}).ok());
  const auto counts = *gathering->counts();
  EXPECT_EQ(counts.planned, 5);
  EXPECT_EQ(counts.in_flight, 0);
  EXPECT_EQ(counts.done, 1);
  EXPECT_EQ(counts.failed, 1);
  EXPECT_EQ(counts.sealed, 0);
  EXPECT_EQ(counts.requests, 3);
  EXPECT_EQ(counts.total(), 7);
  const auto spend = *gathering->spend();
  EXPECT_EQ(spend.prompt_tokens, 10);
  EXPECT_EQ(spend.completion_tokens, 20);
  EXPECT_EQ(spend.cost_micros, 7) << "failed calls can cost as well";
  const auto reason = gathering->failure_reasons()->at(0);
  EXPECT_EQ(reason.reason, "wrong");
  EXPECT_EQ(reason.jobs, 1);
  EXPECT_EQ(reason.first_key, jobs[2].request.key);
}

TEST(GatheringTest, RetriesWaitForTheirTime) {
  Workshop shop("retries");
  auto gathering = shop.gathering();
  ASSERT_TRUE(gathering->plan(requests(1)).ok());
  EXPECT_LE(*gathering->next_ready_ms(), shop.clock.wall_ms());
  auto jobs = *gathering->claim(1);
  EXPECT_EQ(*gathering->next_ready_ms(), -1);
  ASSERT_TRUE(gathering->fail(jobs[0], {.reason = "busy", .retry_after_ms = 500}).ok());
  EXPECT_TRUE(gathering->claim(1)->empty());
  EXPECT_EQ(*gathering->next_ready_ms(), shop.clock.wall_ms() + 500);
  shop.clock.sleep_ms(500);
  jobs = *gathering->claim(1);
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].attempts, 2);
  ASSERT_TRUE(gathering->release(jobs[0]).ok());
  jobs = *gathering->claim(1);
  EXPECT_EQ(jobs[0].attempts, 2) << "a released attempt does not count";
  ASSERT_TRUE(gathering->fail(jobs[0], {.reason = "no", .retry = false}).ok());
  EXPECT_TRUE(gathering->claim(1)->empty());
  EXPECT_EQ(*gathering->retry_failed(), 1);
  EXPECT_EQ(gathering->claim(1)->size(), 1u);
}

TEST(GatheringTest, RefusesAnswersToJobsThatAreNotInFlight) {
  Workshop shop("not_in_flight");
  auto gathering = shop.gathering();
  ASSERT_TRUE(gathering->plan(requests(2)).ok());
  const auto jobs = *gathering->claim(1);
  ASSERT_TRUE(gathering->commit(jobs[0], answer(0)).ok());
  EXPECT_EQ(gathering->commit(jobs[0], answer(0)).error().code, ErrorCode::internal);
  EXPECT_EQ(gathering->release(jobs[0]).error().code, ErrorCode::internal);
  EXPECT_EQ(gathering->fail(jobs[0], {.reason = "x"}).error().code, ErrorCode::internal);
  EXPECT_FALSE(gathering->flush().ok()) << "a lost answer is not forgotten";
  EXPECT_EQ(gathering->counts()->done, 1);
}

// The answer that is stored is the planned request's, whatever the caller did to its copy.
TEST(GatheringTest, TheCallersCopyOfTheRequestDoesNotCount) {
  Workshop shop("copy");
  auto gathering = shop.gathering();
  const auto bound = shop.bind({});
  ASSERT_TRUE(gathering->plan({request(0, bound)}).ok());
  auto job = gathering->claim(1)->at(0);
  job.request.terms = {{std::string(64, 'f')}};
  job.request.door.provider = "another";
  ASSERT_TRUE(gathering->commit(job, answer(0)).ok());
  shop.seal(*gathering);
  const auto cleared = shop.clearance().clear<TrainGenerative>(shop.selection());
  ASSERT_TRUE(cleared.ok()) << cleared.error().text();
  EXPECT_EQ((*cleared)[0].terms, bound);
  EXPECT_EQ((*cleared)[0].door.provider, "example");
  EXPECT_EQ((*cleared)[0].captured_ms, shop.clock.wall_ms());
  EXPECT_EQ((*cleared)[0].principal, "tester");
}

TEST(GatheringTest, DoneIsCalledOnlyWhenItIsOnDiskAndAGroupSharesOneSync) {
  Workshop shop("group");
  auto gathering = *Gathering::open(shop.database(), {.group_ms = 100, .clock = &shop.clock});
  ASSERT_TRUE(gathering->plan(requests(50)).ok());
  const auto jobs = *gathering->claim(50);
  std::vector<int64_t> seen;  // answers on disk when each was told
  for (size_t i = 0; i < jobs.size(); ++i) {
    gathering->submit(jobs[i], answer(static_cast<int64_t>(i)), [&](Result<void> result) {
      EXPECT_TRUE(result.ok());
      seen.push_back(committed(shop.database()));
    });
  }
  EXPECT_EQ(committed(shop.database()), 0) << "they wait for company";
  ASSERT_TRUE(gathering->flush().ok());
  ASSERT_EQ(seen.size(), 50u);
  for (const int64_t on_disk : seen) EXPECT_EQ(on_disk, 50) << "one transaction for all";
}

TEST(GatheringTest, GroupsAreFast) {
  Workshop shop("fast");
  constexpr int64_t kAnswers = 4000;
  auto gathering = *Gathering::open(shop.database());
  ASSERT_TRUE(gathering->plan(requests(kAnswers)).ok());
  const auto jobs = *gathering->claim(kAnswers);
  const double start_s = base::monotonic_seconds();
  for (size_t i = 0; i < jobs.size(); ++i) {
    gathering->submit(jobs[i], answer(static_cast<int64_t>(i)), nullptr);
  }
  ASSERT_TRUE(gathering->flush().ok());
  const double rate = static_cast<double>(kAnswers) / (base::monotonic_seconds() - start_s);
  RecordProperty("commits_per_second", static_cast<int>(rate));
  std::printf("%.0f commits/s\n", rate);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_GE(rate, 2000);
#endif
  EXPECT_EQ(gathering->counts()->done, kAnswers);
}

TEST(GatheringTest, ManyThreadsCommitAtOnce) {
  Workshop shop("threads");
  auto gathering = shop.gathering();
  ASSERT_TRUE(gathering->plan(requests(80)).ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      const auto jobs = gathering->claim(10);
      for (const auto& job : *jobs) {
        EXPECT_TRUE(gathering->commit(job, answer(job.id)).ok());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(gathering->counts()->done, 80);
}

TEST(GatheringTest, KilledInFlightComesBackAsPossiblySent) {
  Workshop shop("killed");
  const pid_t child = ::fork();
  if (child == 0) {
    auto gathering = *Gathering::open(shop.database(), {.group_ms = 1, .clock = &shop.clock});
    (void)gathering->plan(requests(4));
    const auto jobs = *gathering->claim(3);
    (void)gathering->commit(jobs[0], answer(0));
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  auto gathering = shop.gathering();
  auto counts = *gathering->counts();
  EXPECT_EQ(counts.done, 1);
  EXPECT_EQ(counts.planned, 3);
  EXPECT_EQ(counts.possibly_resent, 0) << "not yet";
  const auto jobs = *gathering->claim(4);
  ASSERT_EQ(jobs.size(), 3u);
  EXPECT_TRUE(jobs[0].possibly_sent);
  EXPECT_TRUE(jobs[1].possibly_sent);
  EXPECT_FALSE(jobs[2].possibly_sent);
  EXPECT_EQ(gathering->counts()->possibly_resent, 2);
  EXPECT_EQ(gathering->counts()->requests, 6);

  // What the lost attempt may have cost is counted once.
  ASSERT_TRUE(gathering->book_lost(jobs[0], {100, 200}, 7).ok());
  ASSERT_TRUE(gathering->book_lost(jobs[0], {100, 200}, 7).ok());
  ASSERT_TRUE(gathering->book_lost(jobs[2], {100, 200}, 7).ok()) << "was never in flight before";
  const auto spend = *gathering->spend();
  EXPECT_EQ(spend.prompt_tokens, 110);
  EXPECT_EQ(spend.completion_tokens, 220);
  ASSERT_TRUE(gathering->release(jobs[0]).ok());
  EXPECT_EQ(gathering->counts()->possibly_resent, 1);
  EXPECT_FALSE(gathering->claim(1)->at(0).possibly_sent) << "it is booked";
}

TEST(GatheringTest, ASecondWriterIsToldWhoTheFirstIs) {
  Workshop shop("second");
  auto first = shop.gathering();
  const auto second = Gathering::open(shop.database());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::storage);
  EXPECT_TRUE(has(second.error().text(), std::to_string(::getpid())));
  ASSERT_TRUE(first->plan(requests(2)).ok());
  const auto reader = Gathering::open(shop.database(), {.read_only = true});
  ASSERT_TRUE(reader.ok()) << reader.error().text();
  EXPECT_EQ((*reader)->counts()->planned, 2);
  EXPECT_EQ((*reader)->claim(1).error().code, ErrorCode::internal);
}

TEST(GatheringTest, ReadingWorksAfterACrashInTheMiddleOfATransaction) {
  Workshop shop("hot_journal");
  {
    auto gathering = shop.gathering();
    ASSERT_TRUE(gathering->plan(requests(500)).ok());
  }
  const pid_t child = ::fork();
  if (child == 0) {
    auto database = *store::Database::open(shop.database());
    (void)database->execute("PRAGMA cache_size=1; BEGIN IMMEDIATE; UPDATE jobs SET request = 'x'");
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_GT(base::file_size(shop.database() + "-journal").value_or(0), 0);
  const auto reader = Gathering::open(shop.database(), {.read_only = true});
  ASSERT_TRUE(reader.ok()) << reader.error().text();
  EXPECT_EQ((*reader)->counts()->planned, 500);
}

TEST(GatheringTest, RefusesDamagedMissingAndNewerFiles) {
  Workshop shop("refuses");
  EXPECT_EQ(Gathering::open(shop.database(), {.read_only = true}).error().code,
            ErrorCode::not_found);
  { shop.gathering(); }
  {
    auto database = *store::Database::open(shop.database());
    ASSERT_TRUE(database->execute("UPDATE meta SET value = 2 WHERE key = 'schema'").ok());
  }
  EXPECT_TRUE(has(Gathering::open(shop.database()).error().text(), "schema 2"));
  ASSERT_TRUE(base::write_file_atomic(shop.database(), "no database at all, but a text").ok());
  EXPECT_EQ(Gathering::open(shop.database()).error().code, ErrorCode::storage);
}

TEST(GatheringTest, AFullDiskFailsOnlyWhatDoesNotFit) {
  Workshop shop("full");
  auto gathering = shop.gathering();
  ASSERT_TRUE(gathering->plan(requests(2)).ok());
  const auto jobs = *gathering->claim(2);
  // A limit on the size of files stands for a disk with little room.
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(*base::file_size(shop.database())) + 100'000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  Answer huge = answer(0);
  huge.text = std::string(1'000'000, 'x');
  Result<void> first, second;
  gathering->submit(jobs[0], std::move(huge), [&](Result<void> r) { first = std::move(r); });
  gathering->submit(jobs[1], answer(1), [&](Result<void> r) { second = std::move(r); });
  EXPECT_FALSE(gathering->flush().ok());
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_FALSE(first.ok());
  EXPECT_EQ(first.error().code, ErrorCode::storage);
  EXPECT_TRUE(second.ok()) << second.error().text();
  EXPECT_EQ(gathering->counts()->done, 1);
}

TEST(GatheringTest, ListsWhatIsDone) {
  Workshop shop("lists");
  auto gathering = shop.gathering();
  shop.gather(*gathering, 0, 3, shop.bind({}));
  std::vector<std::string> keys;
  ASSERT_TRUE(gathering
                  ->for_each_done([&](const Gathering::DoneInfo& info) {
                    keys.push_back(info.key);
                    EXPECT_EQ(info.finish_reason, "stop");
                    EXPECT_FALSE(info.sealed);
                  })
                  .ok());
  ASSERT_EQ(keys.size(), 3u);
  EXPECT_EQ(keys[2], record_key(request(2, {})));
  shop.seal(*gathering);
  EXPECT_EQ(gathering->counts()->sealed, 3);
}

}  // namespace
}  // namespace retort::corpus
