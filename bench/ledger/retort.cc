// What trace, the index of the records and the log cost at the size of a large house. See README.md
// beside this file.
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/files.h"
#include "base/progress.h"
#include "corpus/record_index.h"
#include "ledger/brute_force.h"
#include "ledger/contents.h"
#include "ledger/made_up.h"
#include "ledger/overhead.h"
#include "ledger/real_shards.h"
#include "lineage/evidence.h"
#include "lineage/trace.h"

namespace retort {
namespace {

using bench::Concerned;
using bench::MadeUpHouse;
using lineage::Lineage;
using lineage::Question;
using lineage::Trace;
using Kind = Question::Kind;

double now_s() {
  return base::monotonic_seconds();
}

// Out of the page cache; the data stay on disk.
void forget(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY);
  if (fd < 0) return;
  fdatasync(fd);
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  close(fd);
}

void forget_house(const MadeUpHouse& house) {
  forget(house.ledger_folder() + "/log.db");
  const std::string index = house.ledger_folder() + "/index";
  for (const auto& name : base::list_directory(index).value_or({})) forget(index + "/" + name);
}

Concerned concerned(const Trace& trace) {
  return {.shards = {trace.shards.begin(), trace.shards.end()},
          .runs = {trace.runs.begin(), trace.runs.end()},
          .models = {trace.models.begin(), trace.models.end()},
          .records = static_cast<int64_t>(trace.records)};
}

Question record_question(int64_t shard, int64_t row) {
  return {Kind::kRecord, crypto::to_hex(MadeUpHouse::key(shard, row))};
}

// A house opened as a new process opens it.
struct Opened {
  std::unique_ptr<ledger::Ledger> log;
  Lineage lineage;
  corpus::RecordIndex index;
};
Result<Opened> open_house(const MadeUpHouse& house) {
  RETORT_TRY(auto log, ledger::Ledger::open(house.ledger_folder(), {.create = false}));
  RETORT_TRY(auto lineage, Lineage::read(*log));
  RETORT_TRY(auto index, corpus::RecordIndex::open(house.ledger_folder()));
  return Opened{std::move(log), std::move(lineage), std::move(index)};
}

Result<void> check_equal(const MadeUpHouse& house, const Opened& opened, int64_t doors,
                         int64_t records) {
  for (int64_t i = 0; i < doors; ++i) {
    const auto wanted = bench::brute_force_door(house, i);
    for (const auto& question :
         {Question{Kind::kDoor, house.door_name(i)}, Question{Kind::kTerms, house.terms_id(i)}}) {
      RETORT_TRY(const auto trace, opened.lineage.trace(question));
      if (concerned(trace) != wanted) return base::internal_error("another answer for a door");
    }
  }
  for (int64_t i = 0; i < records; ++i) {
    const int64_t shard = i * 7'919 % house.size().shards;
    const int64_t row = i * 104'729 % house.size().rows;
    RETORT_TRY(const auto trace, opened.lineage.trace(record_question(shard, row), &opened.index));
    if (concerned(trace) != bench::brute_force_record(house, shard, row)) {
      return base::internal_error(fmt::format("another answer for record {}:{}", shard, row));
    }
  }
  std::printf("equal to brute force: %lld doors, as many terms, %lld records of %lld\n",
              static_cast<long long>(doors), static_cast<long long>(records),
              static_cast<long long>(house.records()));
  return {};
}

struct Timed {
  double median_s = 0, most_s = 0;
};
Result<Timed> time_each(int repeats, const std::function<Result<void>(int)>& work) {
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i) {
    const double from_s = now_s();
    RETORT_TRY_VOID(work(i));
    seconds.push_back(now_s() - from_s);
  }
  std::sort(seconds.begin(), seconds.end());
  return Timed{seconds[seconds.size() / 2], seconds.back()};
}

void print(const char* what, const Timed& timed, double limit_s, const std::string& more = "") {
  std::printf("  %-44s %9.2f ms, at most %9.2f ms (wanted %.0f ms)%s%s\n", what,
              timed.median_s * 1e3, timed.most_s * 1e3, limit_s * 1e3,
              timed.median_s <= limit_s ? "" : "  MISSED", more.c_str());
}

Result<void> time_warm(const MadeUpHouse& house, const Opened& opened) {
  const auto& size = house.size();
  RETORT_TRY(
      const auto by_terms, time_each(21, [&](int i) -> Result<void> {
        RETORT_TRY_VOID(opened.lineage.trace({Kind::kTerms, house.terms_id(i % size.doors)}));
        return {};
      }));
  print("warm: terms to models", by_terms, 0.05);
  RETORT_TRY(const auto by_model, time_each(21, [&](int i) -> Result<void> {
               const auto id = MadeUpHouse::model_digest(i % size.models);
               RETORT_TRY_VOID(opened.lineage.trace({Kind::kWeights, id}));
               return {};
             }));
  print("warm: weights to students", by_model, 0.05);
  RETORT_TRY(const auto by_record, time_each(41, [&](int i) -> Result<void> {
               const auto question =
                   record_question(i * 31 % (size.shards / 2), i * 977 % size.rows);
               RETORT_TRY_VOID(opened.lineage.trace(question, &opened.index));
               return {};
             }));
  print("warm: record to models", by_record, 0.05);
  int64_t records = 0;
  RETORT_TRY(const auto count, time_each(11, [&](int i) -> Result<void> {
               RETORT_TRY(const auto trace,
                          opened.lineage.trace({Kind::kTerms, house.terms_id(i % size.doors)}));
               records = 0;
               for (const auto entry : trace.shards) {
                 RETORT_TRY(const auto shard, opened.log->entry(static_cast<int64_t>(entry)));
                 RETORT_TRY(const auto n, opened.index.count(shard.name, "train"));
                 records += n;
               }
               return {};
             }));
  print("warm: exact count of a split under terms", count, 0.2,
        fmt::format(", {} records", base::grouped(records)));
  return {};
}

Result<void> time_ids(const MadeUpHouse& house, const Opened& opened) {
  int64_t ids = 0;
  uint64_t sum = 0;
  RETORT_TRY(const auto trace, opened.lineage.trace({Kind::kTerms, house.terms_id(1)}));
  RETORT_TRY(const auto timed, time_each(3, [&](int) -> Result<void> {
               ids = 0;
               for (const auto entry : trace.shards) {
                 RETORT_TRY(const auto shard, opened.log->entry(static_cast<int64_t>(entry)));
                 RETORT_TRY_VOID(opened.index.for_each(
                     shard.name, [&](const crypto::Digest& key, uint32_t row) {
                       sum += key[0] + row;
                       ++ids;
                     }));
               }
               return {};
             }));
  print("warm: keys and places of all records", timed, 2,
        fmt::format(", {} of them ({:x})", base::grouped(ids), sum % 256));
  return {};
}

// The answer of a process that has just been started: log read, index opened, question asked.
Result<void> time_fresh(const MadeUpHouse& house) {
  RETORT_TRY(const auto cached, time_each(5, [&](int i) -> Result<void> {
               RETORT_TRY(const auto opened, open_house(house));
               const auto question = record_question(i * 31 + 5, (i * 977 + 3) % house.size().rows);
               RETORT_TRY_VOID(opened.lineage.trace(question, &opened.index));
               return {};
             }));
  print("new process, pages cached: record to models", cached, 1);
  std::vector<double> by_terms, by_record;
  for (int i = 0; i < 7; ++i) {
    forget_house(house);
    const double from_s = now_s();
    RETORT_TRY(auto log, ledger::Ledger::open(house.ledger_folder(), {.create = false}));
    RETORT_TRY(const auto lineage, Lineage::read(*log));
    RETORT_TRY_VOID(lineage.trace({Kind::kTerms, house.terms_id(i)}));
    by_terms.push_back(now_s() - from_s);
    RETORT_TRY(const auto index, corpus::RecordIndex::open(house.ledger_folder()));
    RETORT_TRY_VOID(lineage.trace(record_question(i * 77 + 1, 4'321 % house.size().rows), &index));
    by_record.push_back(now_s() - from_s);
  }
  for (auto* seconds : {&by_terms, &by_record}) std::sort(seconds->begin(), seconds->end());
  print("cold: terms to models", {by_terms[3], by_terms[6]}, 1);
  print("cold: record to models", {by_record[3], by_record[6]}, 1);
  return {};
}

Result<void> time_evidence(const MadeUpHouse& house, Opened& opened, const std::string& folder) {
  const Question question{Kind::kTerms, house.terms_id(0)};
  const double from_s = now_s();
  RETORT_TRY(const auto trace, opened.lineage.trace(question));
  RETORT_TRY_VOID(base::remove_all(folder));
  RETORT_TRY_VOID(lineage::write_evidence(*opened.log, question, trace, folder));
  std::printf("  answer with proofs of %zu entries written in %.2f s; the second tool follows\n",
              trace.reasons.size(), now_s() - from_s);
  return {};
}

Result<void> check_small(const std::string& folder) {
  MadeUpHouse house(folder + "/small",
                    {.shards = 24, .rows = 2'000, .doors = 5, .runs = 60, .models = 12});
  RETORT_TRY_VOID(base::remove_all(folder + "/small"));
  RETORT_TRY_VOID(house.write());
  RETORT_TRY(const auto opened, open_house(house));
  return check_equal(house, opened, 5, 200);
}

Result<void> make(MadeUpHouse& house) {
  const double cpu_s = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  RETORT_TRY(const auto times, house.write());
  const auto records = static_cast<double>(house.records());
  std::printf("%s records, %lld runs, %lld models, %lld entries, made in %.0f s of one core\n",
              base::grouped(house.records()).c_str(), static_cast<long long>(house.size().runs),
              static_cast<long long>(house.size().models), static_cast<long long>(times.entries),
              static_cast<double>(std::clock()) / CLOCKS_PER_SEC - cpu_s);
  std::printf("  index: %.1f bytes a record (wanted 40), %.2f us a record with making it up\n",
              static_cast<double>(times.index_bytes) / records, times.index_s * 1e6 / records);
  std::printf("  log appended: %.0f entries/s, each signed and synced\n",
              static_cast<double>(times.entries) / times.log_s);
  return {};
}

Result<void> ask(MadeUpHouse& house, const std::string& folder) {
  RETORT_TRY_VOID(house.read());
  {
    RETORT_TRY(auto opened, open_house(house));
    RETORT_TRY_VOID(check_equal(house, opened, 2, 1));
    // And all of its pages are in memory then.
    const double from_s = now_s();
    RETORT_TRY_VOID(opened.index.check());
    std::printf("  every block of the index checked: %.1f s\n", now_s() - from_s);
    RETORT_TRY_VOID(time_warm(house, opened));
    RETORT_TRY_VOID(time_ids(house, opened));
    RETORT_TRY_VOID(time_evidence(house, opened, folder + "/evidence"));
  }
  return time_fresh(house);
}

Result<void> run(const std::string& what, const std::string& folder, int64_t shards) {
  const bool all = what == "all";
  MadeUpHouse house(folder,
                    {.shards = shards, .rows = 65'536, .doors = 40, .runs = 1'000, .models = 100});
  if (all || what == "make") {
    RETORT_TRY_VOID(check_small(folder));
    RETORT_TRY_VOID(make(house));
  }
  if (all || what == "ask") {
    MadeUpHouse again(folder, house.size());
    RETORT_TRY_VOID(ask(again, folder));
  }
  if (all || what == "overhead") RETORT_TRY_VOID(bench::measure_overhead(folder + "/overhead"));
  if (all || what == "real") {
    RETORT_TRY_VOID(base::remove_all(folder + "/real"));
    RETORT_TRY_VOID(bench::measure_real_shards(folder + "/real", 2 * 65'536));
  }
  if (all || what == "contents") RETORT_TRY_VOID(bench::measure_contents(folder + "/real"));
  return {};
}

}  // namespace
}  // namespace retort

int main(int argc, char** argv) {
  const char* shared = std::getenv("RETORT_BENCH_SHARED");
  const std::string folder = shared != nullptr ? shared : "/tmp/retort-bench-ledger";
  const std::string what = argc > 1 ? argv[1] : "all";
  const int64_t shards = argc > 2 ? std::max(80LL, std::atoll(argv[2])) : 1'526;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const auto done = retort::run(what, folder, shards);
  if (done) return 0;
  std::fprintf(stderr, "%s\n", done.error().text().c_str());
  return 1;
}
