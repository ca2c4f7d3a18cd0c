// Writing shards: from the gathering, and the steps that import and curation share.
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/check.h"
#include "base/files.h"
#include "base/log.h"
#include "corpus/columns_internal.h"
#include "corpus/gathering_internal.h"
#include "corpus/record_index.h"
#include "corpus/shard_internal.h"
#include "corpus/zstd_internal.h"

namespace retort::corpus {
namespace {

constexpr int64_t kClockSlack_ms = 10 * 60 * 1000;  // a clock that was set right in between

Result<void> rename_file(const std::string& from, const std::string& to) {
  std::error_code code;
  std::filesystem::rename(from, to, code);
  if (!code) return {};
  errno = code.value();
  return base::errno_error("rename to", to);
}

// What lies beside a shard; "" for no log-probabilities.
struct Beside {
  std::string columns, logprobs;
};

// "" when no record has any.
std::string logprobs_of(std::span<const Record> records, std::span<const KeptLogprobs> logprobs) {
  if (std::all_of(logprobs.begin(), logprobs.end(), [](auto& one) { return one.size() == 0; })) {
    return "";
  }
  RETORT_CHECK(logprobs.size() == records.size(), "{} of {}", logprobs.size(), records.size());
  LogprobWriter writer;
  for (size_t i = 0; i < records.size(); ++i) writer.add(records[i].key, logprobs[i].read());
  return writer.finish();
}

// A shard that an older program sealed, and that was lost since, gets back the columns that its
// entry names.
std::string columns_for(const Result<ledger::Entry>& known, std::string columns,
                        std::string columns_of_form_1) {
  if (!known) return columns;
  const auto named = known->body.string_at("columns", "").value_or("");
  return named == crypto::sha256_hex(columns_of_form_1) ? columns_of_form_1 : columns;
}

// What trace needs to know of a shard without reading it, as numbers of entries.
struct Sources {
  std::set<int64_t> doors;
  std::set<int64_t> parents;  // shards
  bool complete = true;       // else `parents` are not all of them
};

// More would not fit into an entry beside the rest; a shard that names none counts as made from any
// earlier one, until the records themselves are looked at.
constexpr size_t kMostParents = 6'000;

class SourcesOf {
 public:
  SourcesOf(ledger::Ledger& ledger, CodeBook& book) : ledger_(ledger), book_(book) {}

  Result<void> add(const Record& record) {
    RETORT_TRY(const auto doors, book_.doors_of(record));
    found_.doors.insert(doors.begin(), doors.end());
    for (const auto& parent : record.parents) {
      if (!asked_.insert(parent.shard).second) continue;
      const auto entry = ledger_.find("shard", parent.shard);
      if (!entry && entry.error().code != ErrorCode::not_found) return entry.error();
      found_.complete = found_.complete && entry.ok();
      if (entry) found_.parents.insert(entry->index);
    }
    return {};
  }

  Sources take() {
    found_.complete = found_.complete && found_.parents.size() <= kMostParents;
    return std::move(found_);
  }

 private:
  ledger::Ledger& ledger_;
  CodeBook& book_;
  std::set<std::string> asked_;  // digests
  Sources found_;
};

json::Value numbers(const std::set<int64_t>& entries) {
  json::Value out = json::Value::array();
  for (const int64_t entry : entries) out.push(entry);
  return out;
}

json::Value entry_body(std::span<const Record> records, std::span<const crypto::Digest> leaves,
                       const LeafCodes& codes, const Beside& beside, const ShardFacts& facts) {
  int64_t first_ms = records[0].captured_ms;
  int64_t last_ms = first_ms;
  for (const auto& record : records) {
    first_ms = std::min(first_ms, record.captured_ms);
    last_ms = std::max(last_ms, record.captured_ms);
  }
  json::Value body =
      json::Value::object({{"schema", "retort.shard/1"},
                           {"source", facts.source},
                           {"records", static_cast<int64_t>(records.size())},
                           {"root", crypto::to_hex(ledger::tree_root(leaves))},
                           {"columns", crypto::sha256_hex(beside.columns)},
                           {"terms_sets", json::Value::array({int64_t{codes.terms_set}})},
                           {"captured_from_ms", first_ms},
                           {"captured_to_ms", last_ms}});
  if (!beside.logprobs.empty()) body.set("logprobs", crypto::sha256_hex(beside.logprobs));
  if (!facts.batch.empty()) body.set("batch", facts.batch);
  return body;
}

}  // namespace

Result<WrittenShard> write_shard(std::span<const Record> records, ledger::Ledger& ledger,
                                 CodeBook& book, const SealOptions& options,
                                 const ShardFacts& facts) {
  RETORT_CHECK(!records.empty());
  std::vector<crypto::Digest> leaves;
  LeafCodes codes;
  SourcesOf sources_of(ledger, book);
  RecordIndexWriter rows(options.folder);
  ColumnsWriter columns;
  const std::string unnamed = base::join(options.folder, std::string("new") + kPendingSuffix);
  RETORT_TRY(auto writer, ZstdWriter::create(unnamed, options.compression));
  for (const auto& record : records) {
    RETORT_TRY(codes, book.make(record));
    RETORT_TRY_VOID(sources_of.add(record));
    RETORT_TRY_VOID(rows.add(record.key, record.split, record.parents));
    leaves.push_back(leaf_of(record, codes));
    columns.add(record, codes, leaves.back());
    RETORT_TRY_VOID(writer.write(json::dump(to_json(record)) + "\n"));
  }
  RETORT_TRY(const auto digest, writer.finish());
  const Beside beside{
      columns_for(ledger.find("shard", digest), columns.finish(), columns_of(records, leaves)),
      logprobs_of(records, facts.logprobs)};
  const std::string path = base::join(options.folder, digest.substr(0, kNameDigits) + kShardSuffix);
  RETORT_TRY_VOID(base::write_file_atomic(columns_path(path), beside.columns));
  if (!beside.logprobs.empty()) {
    RETORT_TRY_VOID(base::write_file_atomic(logprobs_path(path), beside.logprobs));
  }
  RETORT_TRY_VOID(rename_file(unnamed, path + kPendingSuffix));
  RETORT_TRY_VOID(base::sync_directory(options.folder));
  json::Value body = entry_body(records, leaves, codes, beside, facts);
  const Sources sources = sources_of.take();
  body.set("doors", numbers(sources.doors));
  if (sources.complete) body.set("parents", numbers(sources.parents));
  RETORT_TRY_VOID(ledger.append("shard", digest, std::move(body)));
  // The index can be made again from the shard, which is what counts.
  const auto indexed = rows.finish(ledger.folder(), digest, codes.terms_set);
  if (!indexed) base::log_warning("a shard is not indexed: {}", indexed.error().text());
  RETORT_TRY_VOID(rename_file(path + kPendingSuffix, path));
  RETORT_TRY_VOID(base::sync_directory(options.folder));
  return WrittenShard{path, digest};
}

Result<void> mend_folder(const std::string& folder, ledger::Ledger& ledger) {
  RETORT_TRY(const auto names, base::list_directory(folder));
  const std::string suffix = std::string(kShardSuffix) + kPendingSuffix;
  for (const auto& name : names) {
    const std::string path = base::join(folder, name);
    if (!name.ends_with(suffix)) {
      if (name.ends_with(kPendingSuffix)) RETORT_TRY_VOID(base::remove_all(path));
      continue;
    }
    const std::string final_path = path.substr(0, path.size() - suffix.size()) + kShardSuffix;
    RETORT_TRY(const auto digest, crypto::sha256_file_hex(path));
    if (ledger.find("shard", digest)) {
      RETORT_TRY_VOID(rename_file(path, final_path));
      RETORT_TRY_VOID(base::sync_directory(folder));
    } else {
      RETORT_TRY_VOID(base::remove_all(path));
      RETORT_TRY_VOID(base::remove_all(columns_path(final_path)));
      RETORT_TRY_VOID(base::remove_all(logprobs_path(final_path)));
    }
  }
  return {};
}

std::vector<std::vector<size_t>> batches_of(std::span<const Record> records, int64_t most) {
  std::map<std::string, size_t> open;  // set of terms to the batch that still takes rows
  std::vector<std::vector<size_t>> batches;
  for (size_t row = 0; row < records.size(); ++row) {
    std::string set;
    for (const auto& one : as_set(records[row].terms)) set += one.id + terms::name(one.object);
    const auto found = open.find(set);
    if (found == open.end() ||
        static_cast<int64_t>(batches[found->second].size()) >= std::max<int64_t>(most, 1)) {
      open[set] = batches.size();
      batches.emplace_back();
    }
    batches[open[set]].push_back(row);
  }
  return batches;
}

// Seals what a gathering holds. A batch of jobs is marked in the database first, under a name that
// goes into the log with the shard: so after a crash it is known which shard, if any, holds them.
class Sealer {
 public:
  Sealer(Gathering& gathering, ledger::Ledger& ledger, const SealOptions& options)
      : store_(*gathering.impl_), ledger_(ledger), codes_(ledger), options_(options) {}

  Result<SealReport> run(const terms::TermsSet& terms) {
    RETORT_TRY_VOID(base::make_directories(options_.folder));
    RETORT_TRY_VOID(mend_folder(options_.folder, ledger_));
    RETORT_TRY_VOID(codes_.log_terms(terms));
    RETORT_TRY(const auto index, ShardIndex::load(ledger_));
    RETORT_TRY_VOID(store_.reopen_batches([&](const std::string& digest) {
      return base::exists(
          base::join(options_.folder, digest.substr(0, kNameDigits) + kShardSuffix));
    }));
    RETORT_TRY(report_.already, store_.count_sealed());
    RETORT_TRY(auto open, store_.open_batches());
    RETORT_TRY_VOID(seal_all(open, index));
    while (true) {
      RETORT_TRY(open, store_.make_batches(options_.records_per_shard));
      if (open.empty()) return std::move(report_);
      RETORT_TRY_VOID(seal_all(open, index));
    }
  }

 private:
  Result<void> seal_all(const std::vector<Batch>& batches, const ShardIndex& index) {
    for (const auto& batch : batches) RETORT_TRY_VOID(seal_one(batch, index));
    return {};
  }

  Result<void> seal_one(const Batch& batch, const ShardIndex& index) {
    const auto* logged = index.by_batch(batch.mark);
    if (logged != nullptr) {
      const auto name = logged->digest.substr(0, kNameDigits) + kShardSuffix;
      if (base::exists(base::join(options_.folder, name))) {
        report_.already += logged->records;
        return store_.close_batch(batch.id, logged->digest);
      }
    }
    RETORT_TRY(const auto content, store_.content_of(batch.id));
    const auto& records = content.records;
    if (records.empty()) return store_.close_batch(batch.id, "");
    for (const auto& record : records) RETORT_TRY_VOID(check_time(record));
    RETORT_TRY(
        const auto written,
        write_shard(records, ledger_, codes_, options_,
                    {.source = "collect", .batch = batch.mark, .logprobs = content.logprobs}));
    report_.records += static_cast<int64_t>(records.size());
    report_.shards.push_back(written.path);
    return store_.close_batch(batch.id, written.digest);
  }

  Result<void> check_time(const Record& record) const {
    const int64_t last_ms = store_.clock->wall_ms() + kClockSlack_ms;
    if (record.captured_ms >= store_.created_ms && record.captured_ms <= last_ms) return {};
    return base::bad_input(
        fmt::format("the record {} says that it was captured at {}, which is {}",
                    record.key.substr(0, kNameDigits), base::iso_time(record.captured_ms),
                    record.captured_ms < store_.created_ms ? "before the gathering began"
                                                           : "in the future"),
        store_.path, "the database was changed by hand, or the clock was set back");
  }

  Gathering::Impl& store_;
  ledger::Ledger& ledger_;
  CodeBook codes_;
  const SealOptions& options_;
  SealReport report_;
};

Result<SealReport> seal(Gathering& gathering, ledger::Ledger& ledger, const terms::TermsSet& terms,
                        const SealOptions& options) {
  RETORT_TRY_VOID(gathering.flush());
  return Sealer(gathering, ledger, options).run(terms);
}

}  // namespace retort::corpus
