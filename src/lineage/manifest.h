// What learnt from what: the entries "run" and "model" of the log. A run is logged before its first
// step, from what the clearance gave out, and `train::fit` takes nothing without it; a model is
// logged when it is written. docs/reference/ledger-entries.md has the bodies.
//
// Errors: storage for the log, bad_input for an entry that is not what it should be or that a newer
// program wrote. One thread a ledger.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "corpus/clearance.h"
#include "json/value.h"
#include "ledger/ledger.h"
#include "lineage/artifact.h"

namespace retort::lineage {

// Weights that a run started from, or that it asked in the process.
struct WeightsUsed {
  std::string digest;  // the clearance's: the name of the entry "weights"
  std::string model;
  int64_t verdict = -1;            // entry
  std::vector<std::string> terms;  // ids, sorted
  std::vector<ModelFile> files;    // of weights: how a logged model is known in them
};

// Records under exactly these terms.
struct TermsShare {
  std::vector<std::string> terms;  // ids, sorted
  int64_t records = 0;
};
// Records with an answer that came through this door; a merged record counts for each of its own.
struct DoorShare {
  int64_t door = -1;  // entry
  int64_t records = 0;
};

// A door that was asked, while the run went on, what it thinks of the student's own answers: it
// gave no record.
struct DoorAsked {
  int64_t door = -1;               // entry
  int64_t verdict = -1;            // entry
  std::vector<std::string> terms;  // ids, sorted
};

// Records that were measured with and not learnt from.
struct Evaluation {
  std::vector<int64_t> shards;  // entries
  std::string split;
  int64_t records = 0;
};

struct RunManifest {
  int64_t entry = -1;
  std::string name;  // of the entry: run_name() of its body
  int64_t time_ms = 0;
  std::string model_id;
  std::string program;  // "retort 0.1.0"
  json::Value purpose;
  std::vector<int64_t> shards;  // entries, of all that the selection looked at
  std::string split;
  int64_t records = 0;
  std::string selection;             // digest of exactly these records
  std::vector<TermsShare> by_terms;  // adds up to `records`
  std::vector<DoorShare> by_door;
  std::vector<int64_t> verdicts;  // entries
  std::optional<WeightsUsed> base;
  std::vector<WeightsUsed> teachers;
  std::vector<DoorAsked> asked;
  std::string tokenizer;  // digest
  std::string objective;
  std::string options;  // SHA-256 of the resolved options
  int64_t seed = 0;
  std::optional<Evaluation> evaluation;
  std::vector<int64_t> declarations;  // entries that the verdicts lean on
  // In which order it learns parts of equal terms (train.isolate_by); null: all records together.
  json::Value isolated;
};

// A model as it was written: safetensors (a folder), gguf, adapter, checkpoint; "foreign" where
// another program made it of logged ones (a merge, a quantised copy).
struct ModelEntry {
  int64_t entry = -1;
  std::string name;  // Artifact::digest
  int64_t time_ms = 0;
  std::string model_id;
  std::string form;
  int64_t run = -1;                    // entry; -1: no run of this log
  std::vector<std::string> made_from;  // names of models, digests of weights
  std::vector<ModelFile> files;
  // The run's checkpoints that stay for a run without later parts, and what each has learnt; null
  // where there are none.
  json::Value kept;
};

// A door whose answers come from a file of this machine; logged before it is asked. Who learns from
// that door learns from every file that was ever served behind it: another model needs another
// name.
struct ServedDoor {
  corpus::Door door = {};
  std::string model = {};  // as it is asked for
};
struct ServedEntry {
  int64_t entry = -1;
  ServedDoor at;
  std::vector<ModelFile> files;  // of weights
};

json::Value to_json(const RunManifest& run);
json::Value to_json(const ModelEntry& model);
Result<RunManifest> run_from_entry(const ledger::Entry& entry);
Result<ModelEntry> model_from_entry(const ledger::Entry& entry);
Result<ServedEntry> served_from_entry(const ledger::Entry& entry);
json::Value to_json(const ServedEntry& served);
// SHA-256 of the canonical body without the verdicts: an identical run is asked for anew each time
// it goes on, and stays the same run.
std::string run_name(const json::Value& body);

// A run that stands in the log. Only log_run() makes one.
class LoggedRun {
 public:
  LoggedRun(LoggedRun&&) noexcept = default;
  LoggedRun& operator=(LoggedRun&&) noexcept = default;
  LoggedRun(const LoggedRun&) = delete;
  LoggedRun& operator=(const LoggedRun&) = delete;

  const RunManifest& manifest() const { return manifest_; }

 private:
  friend Result<LoggedRun> log_run(ledger::Ledger& ledger, const struct RunInput& input);
  explicit LoggedRun(RunManifest manifest) : manifest_(std::move(manifest)) {}
  RunManifest manifest_;
};

struct RunInput {
  const corpus::Cleared<terms::TrainGenerative>& data;
  const corpus::Cleared<terms::Evaluate>* held_out = nullptr;
  const corpus::ClearedWeights<terms::TrainGenerative>* base = nullptr;
  const corpus::ClearedWeights<terms::TrainGenerative>* teacher = nullptr;
  const corpus::ClearedDoor<terms::TrainGenerative>* door = nullptr;
  std::string program = {};
  std::string tokenizer = {};  // digest
  std::string objective = {};
  std::string options = {};  // SHA-256 of the resolved options
  int64_t seed = 0;
  json::Value isolated = {};
};
// Finds the entry of an identical run, or appends one. More shards than an entry has room for
// (about 9,000) are refused.
Result<LoggedRun> log_run(ledger::Ledger& ledger, const RunInput& input);

// What is at `path`, written now. The same bytes again are the same entry.
struct ModelInput {
  std::string path = {};
  std::string model_id = {};
  std::string form = {};
  int64_t run = -1;
  std::vector<std::string> made_from = {};
  json::Value kept = {};
};
Result<ModelEntry> log_model(ledger::Ledger& ledger, const ModelInput& input);

Result<void> log_served(ledger::Ledger& ledger, const ServedDoor& at, const std::string& path);

Result<RunManifest> find_run(ledger::Ledger& ledger, int64_t entry);
Result<ModelEntry> find_model(ledger::Ledger& ledger, const std::string& name);
// In the order of the log.
Result<std::vector<RunManifest>> all_runs(ledger::Ledger& ledger);
Result<std::vector<ModelEntry>> all_models(ledger::Ledger& ledger);
Result<std::vector<ServedEntry>> all_served(ledger::Ledger& ledger);

}  // namespace retort::lineage
