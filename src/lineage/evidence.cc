#include "lineage/evidence.h"

#include <set>

#include "base/files.h"
#include "crypto/hash.h"

namespace retort::lineage {
namespace {

json::Value numbers(const std::vector<uint64_t>& entries) {
  json::Value out = json::Value::array();
  for (const uint64_t entry : entries) out.push(entry);
  return out;
}

}  // namespace

json::Value to_json(const Question& question, const Trace& trace) {
  json::Value reasons = json::Value::array();
  for (const auto& [entry, reason] : trace.reasons) {
    reasons.push(json::Value::object({{"entry", entry},
                                      {"because", reason.because},
                                      {"generation", reason.generation},
                                      {"assumed", reason.assumed}}));
  }
  json::Value rows = json::Value::array();
  for (const auto& [shard, its] : trace.rows) {
    json::Value list = json::Value::array();
    for (const uint32_t row : its) list.push(int64_t{row});
    rows.push(json::Value::object({{"shard", shard}, {"rows", std::move(list)}}));
  }
  return json::Value::object(
      {{"schema", "retort.trace/1"},
       {"question", json::Value::object({{"kind", name(question.kind)}, {"id", question.id}})},
       {"log_size", trace.log_size},
       {"shards", numbers(trace.shards)},
       {"runs", numbers(trace.runs)},
       {"models", numbers(trace.models)},
       {"doors", numbers(trace.doors)},
       {"declarations", numbers(trace.declared)},
       {"records", trace.records},
       {"students_records", trace.students_records},
       {"whole_shards", trace.whole_shards},
       {"rows", std::move(rows)},
       {"reasons", std::move(reasons)}});
}

namespace {

constexpr int kTries = 5;  // each begins anew because somebody appended to the log meanwhile

json::Value proof_json(const ledger::Proof& proof) {
  json::Value path = json::Value::array();
  for (const auto& hash : proof.path) path.push(crypto::to_base64(crypto::as_bytes(hash)));
  return json::Value::object(
      {{"index", proof.index}, {"entry", proof.entry}, {"path", std::move(path)}});
}

// All under one checkpoint, which is returned; "" when it did not stay the newest.
Result<std::string> write_proofs(ledger::Ledger& log, const std::set<uint64_t>& entries,
                                 const std::string& path) {
  RETORT_TRY(auto file, base::FileWriter::create(path));
  RETORT_TRY(const auto checkpoint, log.checkpoint());
  for (const uint64_t entry : entries) {
    RETORT_TRY(const auto proof, log.prove(static_cast<int64_t>(entry)));
    if (proof.checkpoint != checkpoint) return std::string();
    RETORT_TRY_VOID(file.write(json::dump(proof_json(proof)) + "\n"));
  }
  RETORT_TRY_VOID(file.finish());
  return checkpoint;
}

}  // namespace

Result<void> write_evidence(ledger::Ledger& log, const Question& question, const Trace& trace,
                            const std::string& folder) {
  if (base::exists(folder)) {
    return base::bad_input("there is something of that name already", folder,
                           "name a folder that is not there yet");
  }
  RETORT_TRY_VOID(base::make_directories(folder));
  const std::string verifier = ledger::verifier_key(log.origin(), log.public_key());
  RETORT_TRY_VOID(base::write_file_atomic(base::join(folder, "verifier.key"), verifier + "\n"));
  std::set<uint64_t> entries;
  for (const auto& [entry, reason] : trace.reasons) {
    entries.insert(entry);
    entries.insert(reason.because);
  }
  std::string checkpoint;
  for (int tries = 0; tries < kTries && checkpoint.empty(); ++tries) {
    RETORT_TRY(checkpoint, write_proofs(log, entries, base::join(folder, "entries.jsonl")));
  }
  if (checkpoint.empty()) {
    return base::storage_error("the log grew while its entries were proved", folder,
                               "ask again when less is written into it");
  }
  RETORT_TRY_VOID(base::write_file_atomic(base::join(folder, "checkpoint"), checkpoint));
  // Last, so that a folder that has it has all.
  return base::write_file_atomic(base::join(folder, "trace.json"),
                                 json::dump(to_json(question, trace), 2) + "\n");
}

}  // namespace retort::lineage
