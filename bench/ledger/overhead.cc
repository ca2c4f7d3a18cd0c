#include "ledger/overhead.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <vector>

#include "base/clock.h"
#include "base/files.h"
#include "corpus/clearance.h"
#include "corpus/gathering.h"
#include "corpus/zstd_internal.h"
#include "ledger/made_up_records.h"
#include "ledger/passes.h"
#include "lineage/manifest.h"

namespace retort::bench {
namespace {

constexpr int kPairs = 9;
constexpr int64_t kRecords = 4'096;
// What a record takes elsewhere, for the shares: `./dev quickstart` on two cores with AVX-512
// gathers 7,500 answers in 234 s and learns from 6,441 in 138 s.
constexpr double kGathered_s = 234.0 / 7'500;
constexpr double kLearnt_s = 138.0 / 6'441;

using Work = std::function<Result<double>(const std::string& folder)>;  // seconds

struct Pairs {
  std::vector<double> with, without, difference;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Each pair in a fresh folder and in the other order than the one before, so that what the machine
// does meanwhile falls on both.
Result<Pairs> by_turns(const std::string& folder, const Work& with, const Work& without) {
  Pairs out;
  for (int i = 0; i < kPairs; ++i) {
    double with_s = 0, without_s = 0;
    for (int turn = 0; turn < 2; ++turn) {
      const bool is_with = (i + turn) % 2 == 0;
      RETORT_TRY_VOID(base::remove_all(folder));
      RETORT_TRY_VOID(base::make_directories(folder));
      RETORT_TRY((is_with ? with_s : without_s), (is_with ? with : without)(folder));
    }
    out.with.push_back(with_s);
    out.without.push_back(without_s);
    out.difference.push_back(with_s - without_s);
  }
  return out;
}

void print(const char* what, const Pairs& pairs, double record_s, double wanted) {
  const double each_s = median(pairs.difference) / static_cast<double>(kRecords);
  const auto [least, most] = std::minmax_element(pairs.difference.begin(), pairs.difference.end());
  std::printf("  %-10s with %.3f s, without %.3f s; %.1f us a record (%.1f to %.1f)\n", what,
              median(pairs.with), median(pairs.without), each_s * 1e6,
              *least * 1e6 / static_cast<double>(kRecords),
              *most * 1e6 / static_cast<double>(kRecords));
  std::printf(
      "  %-10s of the %.1f ms that a record takes in the quickstart: %.2f %% (wanted %.1f)\n", "",
      record_s * 1e3, 100 * each_s / record_s, wanted);
}

Result<std::unique_ptr<corpus::Gathering>> gather_all(const std::string& folder,
                                                      const std::vector<corpus::Record>& requests) {
  RETORT_TRY(auto gathering, corpus::Gathering::open(folder + "/corpus.db"));
  RETORT_TRY_VOID(gathering->plan(requests));
  RETORT_TRY(const auto jobs, gathering->claim(std::ssize(requests)));
  for (const auto& job : jobs) gathering->submit(job, made_up_answer(job.id), nullptr);
  RETORT_TRY_VOID(gathering->flush());
  return gathering;
}

// Gathered, then written as the same compressed lines by whoever keeps no ledger. The lines are
// made from memory, where sealing reads them from the database: that is counted as the ledger's.
Result<double> gather_without(const std::string& folder,
                              const std::vector<corpus::Record>& requests) {
  const double from_s = base::monotonic_seconds();
  RETORT_TRY(const auto gathering, gather_all(folder, requests));
  RETORT_TRY(auto writer, corpus::ZstdWriter::create(folder + "/lines.jsonl.zst", 3));
  int64_t id = 0;
  for (corpus::Record record : requests) {
    const auto answer = made_up_answer(++id);
    record.answer = answer.text;
    record.finish_reason = answer.finish_reason;
    record.model_answered = answer.model_answered;
    RETORT_TRY_VOID(writer.write(json::dump(corpus::to_json(record)) + "\n"));
  }
  RETORT_TRY_VOID(writer.finish());
  return base::monotonic_seconds() - from_s;
}

Result<double> gather_with(const std::string& folder, const std::vector<corpus::Record>& requests,
                           const terms::TermsSet& set) {
  const double from_s = base::monotonic_seconds();
  RETORT_TRY(auto log, ledger::Ledger::open(folder + "/ledger"));
  RETORT_TRY(const auto gathering, gather_all(folder, requests));
  RETORT_TRY_VOID(corpus::seal(*gathering, *log, set, {.folder = folder + "/shards"}));
  return base::monotonic_seconds() - from_s;
}

// What stands before the first step and behind the last one; between them there is nothing. The
// shards are made before, outside the time.
Result<double> learn(const std::string& folder, const std::vector<corpus::Record>& requests,
                     const terms::TermsSet& set, bool with) {
  RETORT_TRY_VOID(gather_with(folder, requests, set));
  RETORT_TRY_VOID(base::make_directories(folder + "/model"));
  RETORT_TRY_VOID(base::write_file_atomic(folder + "/model/weights", std::string(1 << 20, 'w')));
  const double from_s = base::monotonic_seconds();
  if (with) {
    RETORT_TRY(auto log, ledger::Ledger::open(folder + "/ledger"));
    const terms::Purpose purpose{.actions = terms::all_actions(), .model_id = "student"};
    corpus::Clearance clearance(*log, set, purpose);
    const corpus::Selection selection{.folder = folder + "/shards", .path_label = "optimizer"};
    RETORT_TRY(const auto data, clearance.clear<terms::TrainGenerative>(selection));
    RETORT_TRY(const auto run, lineage::log_run(*log, {.data = data, .program = "bench"}));
    RETORT_TRY_VOID(lineage::log_model(*log, {.path = folder + "/model",
                                              .model_id = "student",
                                              .form = "checkpoint",
                                              .run = run.manifest().entry}));
    return base::monotonic_seconds() - from_s;
  }
  RETORT_TRY(const auto shards, corpus::list_shards(folder + "/shards"));
  int64_t records = 0;
  RETORT_TRY_VOID(each_line(shards, [&records](std::string_view line) -> Result<void> {
    RETORT_TRY(const auto value, json::parse(line));
    if (value.find("messages") != nullptr) ++records;
    return {};
  }));
  if (records != std::ssize(requests)) return base::internal_error("records are missing");
  return base::monotonic_seconds() - from_s;
}

}  // namespace

Result<void> measure_overhead(const std::string& folder) {
  RETORT_TRY(const auto its_terms, open_terms());
  terms::TermsSet set;
  set.add(its_terms);
  std::vector<corpus::Record> requests;
  for (int64_t i = 0; i < kRecords; ++i) requests.push_back(made_up_request(i, its_terms.id));
  std::printf("with and without a ledger, %lld records, %d pairs by turns\n",
              static_cast<long long>(kRecords), kPairs);
  RETORT_TRY(const auto gathered,
             by_turns(
                 folder, [&](const std::string& at) { return gather_with(at, requests, set); },
                 [&](const std::string& at) { return gather_without(at, requests); }));
  print("gathering", gathered, kGathered_s, 1);
  RETORT_TRY(const auto learnt,
             by_turns(
                 folder, [&](const std::string& at) { return learn(at, requests, set, true); },
                 [&](const std::string& at) { return learn(at, requests, set, false); }));
  print("training", learnt, kLearnt_s, 0.5);
  return base::remove_all(folder);
}

}  // namespace retort::bench
