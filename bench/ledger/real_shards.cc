#include "ledger/real_shards.h"

#include <fmt/core.h>

#include <cstdio>
#include <cstring>

#include "base/clock.h"
#include "base/files.h"
#include "corpus/clearance.h"
#include "corpus/gathering.h"
#include "corpus/record_index.h"
#include "corpus/shard.h"
#include "crypto/hash.h"
#include "ledger/tree.h"

namespace retort::bench {
namespace {

constexpr int64_t kPerShard = 65'536;
constexpr int64_t kLineBytes = 1'100;  // of a record as JSON, about

Result<terms::Terms> open_terms() {
  std::string text =
      "schema = \"retort.terms/1\"\nassigner = \"A\"\nseries = \"bench\"\nversion = \"1\"\n"
      "[time]\neffective = 2020-01-01\n[source]\nbasis = \"express\"\n";
  for (const auto action : terms::all_actions()) {
    text += fmt::format(
        "[[rule]]\neffect = \"permit\"\naction = \"{}\"\nclause = \"1\"\ntext = \"w\"\n",
        terms::name(action));
  }
  return terms::parse_terms(text + "[review]\nreader = \"R\"\n", "bench.toml");
}

corpus::Record request(int64_t i, const std::string& terms_id) {
  corpus::Record out;
  out.door = {"local", "https://bench.example.com/v1", ""};
  out.model = "m";
  out.messages = {{dialog::Role::user, fmt::format("Write a two-sentence story about a lamp {} "
                                                   "and the river behind house {}.",
                                                   i, i * 7)}};
  out.terms = {{terms_id, terms::Object::outputs}};
  return out;
}

std::string story(int64_t i) {
  return fmt::format(
      "The lamp numbered {} had stood by the window for {} winters, and nobody in the house "
      "remembered who had lit it first. When the river rose that spring, its light was what "
      "the {} boats steered by, until the water went down and the town was dry again.",
      i, i % 97, i % 13 + 2);
}

Result<void> gather(corpus::Gathering& gathering, const std::string& terms_id, int64_t records) {
  std::vector<corpus::Record> requests;
  for (int64_t i = 0; i < records; ++i) requests.push_back(request(i, terms_id));
  RETORT_TRY_VOID(gathering.plan(requests));
  RETORT_TRY(const auto jobs, gathering.claim(records));
  for (const auto& job : jobs) {
    corpus::Answer answer;
    answer.text = story(job.id);
    answer.finish_reason = "stop";
    answer.model_answered = "m";
    gathering.submit(job, answer, nullptr);
  }
  return gathering.flush();
}

void print(const char* what, double seconds, int64_t records, const std::string& more = "") {
  std::printf("  %-38s %8.2f s  %9.0f records/s  %6.2f us a record%s\n", what, seconds,
              static_cast<double>(records) / seconds, seconds * 1e6 / static_cast<double>(records),
              more.c_str());
}

// That the columns of a shard are those of the log, by digest, by the root over their leaves, and
// by the proof of the shard's entry: what is known of records without their contents.
Result<int64_t> check_columns(ledger::Ledger& log, const std::string& path,
                              const std::string& digest) {
  RETORT_TRY(const auto entry, log.find("shard", digest));
  RETORT_TRY(const auto proof, log.prove(entry.index));
  RETORT_TRY_VOID(ledger::verify_proof(proof, log.origin(), log.public_key()));
  RETORT_TRY(const auto columns, base::MappedFile::open(path));
  RETORT_TRY(const auto wanted, entry.body.string_at("columns"));
  RETORT_TRY(const auto root, entry.body.string_at("root"));
  constexpr size_t kColumnBytes = 36;
  std::vector<crypto::Digest> leaves(columns.view().size() / kColumnBytes);
  for (size_t i = 0; i < leaves.size(); ++i) {
    std::memcpy(leaves[i].data(), columns.data() + i * kColumnBytes, leaves[i].size());
  }
  const bool holds = crypto::sha256_hex(columns.view()) == wanted &&
                     crypto::to_hex(ledger::tree_root(leaves)) == root;
  if (!holds) return base::internal_error("columns that do not fit the log", path);
  return std::ssize(leaves);
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

Result<void> time_columns(ledger::Ledger& log, const std::string& folder) {
  constexpr int kRepeats = 5;
  int64_t records = 0;
  const double from_s = base::monotonic_seconds();
  for (int i = 0; i < kRepeats; ++i) {
    RETORT_TRY_VOID(log.for_each("shard", [&](const ledger::Entry& entry) -> Result<void> {
      const std::string path = folder + "/" + entry.name.substr(0, 16) + ".columns";
      RETORT_TRY(const auto n, check_columns(log, path, entry.name));
      records += n;
      return {};
    }));
  }
  print("columns, roots and proofs, one core", base::monotonic_seconds() - from_s, records,
        " (wanted 1,000,000)");
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
  from_s = base::monotonic_seconds();
  for (const auto& shard : shards) RETORT_TRY_VOID(corpus::verify(shard, *log));
  const double verify_s = base::monotonic_seconds() - from_s;
  const double text_bytes = static_cast<double>(records) * kLineBytes;
  print("contents verified, all cores", verify_s, records,
        fmt::format(", {:.0f} MB/s of JSON (wanted 400 a core)", text_bytes / verify_s / 1e6));

  RETORT_TRY_VOID(time_digests(shards, bytes));
  RETORT_TRY_VOID(time_columns(*log, folder + "/shards"));
  const terms::Purpose purpose{.actions = terms::all_actions(), .model_id = "student"};
  corpus::Clearance clearance(*log, set, purpose);
  from_s = base::monotonic_seconds();
  RETORT_TRY(const auto cleared, clearance.clear<terms::TrainGenerative>(
                                     {.folder = folder + "/shards", .path_label = "optimizer"}));
  print("cleared with contents, all cores", base::monotonic_seconds() - from_s, cleared.size());
  return {};
}

}  // namespace retort::bench
