#include "ledger/real_shards.h"

#include <fmt/core.h>

#include <cstdio>

#include "base/clock.h"
#include "base/files.h"
#include "corpus/clearance.h"
#include "corpus/gathering.h"
#include "corpus/record_index.h"
#include "corpus/shard.h"
#include "crypto/hash.h"
#include "ledger/made_up_records.h"
#include "ledger/passes.h"

namespace retort::bench {
namespace {

constexpr int64_t kPerShard = 65'536;

Result<void> gather(corpus::Gathering& gathering, const std::string& terms_id, int64_t records) {
  std::vector<corpus::Record> requests;
  for (int64_t i = 0; i < records; ++i) requests.push_back(made_up_request(i, terms_id));
  RETORT_TRY_VOID(gathering.plan(requests));
  RETORT_TRY(const auto jobs, gathering.claim(records));
  for (const auto& job : jobs) {
    gathering.submit(job, made_up_answer(job.id), nullptr);
  }
  return gathering.flush();
}

void print(const char* what, double seconds, int64_t records, const std::string& more = "") {
  std::printf("  %-38s %8.2f s  %9.0f records/s  %6.2f us a record%s\n", what, seconds,
              static_cast<double>(records) / seconds, seconds * 1e6 / static_cast<double>(records),
              more.c_str());
}

// That a shard's bytes are those that the log knows, which is all that its digest promises.
Result<void> time_digests(const std::vector<corpus::Shard>& shards, int64_t bytes) {
  constexpr int kRepeats = 20;
  const double from_s = base::monotonic_seconds();
  for (int i = 0; i < kRepeats; ++i) {
    for (const auto& shard : shards) RETORT_TRY_VOID(crypto::sha256_file_hex(shard.path()));
  }
  const double seconds = base::monotonic_seconds() - from_s;
  std::printf("  digests of the files verified, one core: %.0f MB/s (wanted 400)\n",
              static_cast<double>(bytes * kRepeats) / seconds / 1e6);
  return {};
}

// The second question about the same records is answered by their columns: digests of the files,
// roots over the leaves, and a verdict for all that were gathered alike.
Result<void> time_columns(corpus::Clearance& clearance, const corpus::Selection& selection,
                          int64_t records) {
  const OneThread one;
  constexpr int kRepeats = 5;
  const double from_s = base::monotonic_seconds();
  for (int i = 0; i < kRepeats; ++i) RETORT_TRY_VOID(clearance.permit_export(selection));
  print("cleared from columns and proofs, one core", base::monotonic_seconds() - from_s,
        records * kRepeats, " (wanted 1,000,000)");
  return {};
}

}  // namespace

Result<void> measure_real_shards(const std::string& folder, int64_t records) {
  RETORT_TRY_VOID(base::make_directories(folder));
  RETORT_TRY(const auto its_terms, open_terms());
  terms::TermsSet set;
  set.add(its_terms);
  RETORT_TRY(auto log, ledger::Ledger::open(folder + "/ledger"));
  RETORT_TRY(auto gathering, corpus::Gathering::open(folder + "/corpus.db"));
  double from_s = base::monotonic_seconds();
  RETORT_TRY_VOID(gather(*gathering, its_terms.id, records));
  const double gather_s = base::monotonic_seconds() - from_s;
  std::printf("real shards, %lld records of one answer each\n", static_cast<long long>(records));
  print("planned, answered, committed", gather_s, records);
  from_s = base::monotonic_seconds();
  RETORT_TRY(const auto sealed,
             corpus::seal(*gathering, *log, set,
                          {.folder = folder + "/shards", .records_per_shard = kPerShard}));
  const double seal_s = base::monotonic_seconds() - from_s;
  print("sealed, logged, indexed", seal_s, records);

  RETORT_TRY_VOID(base::remove_all(folder + "/ledger/index"));
  from_s = base::monotonic_seconds();
  RETORT_TRY(const auto report, corpus::update_index(*log, {folder + "/shards"}));
  const double index_s = base::monotonic_seconds() - from_s;
  print("index made again from the shards alone", index_s, records,
        fmt::format(", 100 M in {:.1f} min", index_s * 1e8 / static_cast<double>(records) / 60));
  if (report.written != std::ssize(sealed.shards)) {
    return base::internal_error("not all shards were indexed");
  }

  RETORT_TRY(const auto shards, corpus::list_shards(folder + "/shards"));
  int64_t bytes = 0;
  for (const auto& shard : shards) bytes += shard.size_bytes();
  const terms::Purpose purpose{.actions = terms::all_actions(), .model_id = "student"};
  corpus::Clearance clearance(*log, set, purpose);
  const corpus::Selection selection{.folder = folder + "/shards", .path_label = "optimizer"};
  from_s = base::monotonic_seconds();
  RETORT_TRY(const auto cleared, clearance.clear<terms::TrainGenerative>(selection));
  print("cleared with contents, all cores", base::monotonic_seconds() - from_s, cleared.size());
  RETORT_TRY_VOID(time_digests(shards, bytes));
  RETORT_TRY_VOID(time_columns(clearance, selection, records));
  return {};
}

}  // namespace retort::bench
