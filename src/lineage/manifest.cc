#include "lineage/manifest.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/files.h"
#include "corpus/withdrawals.h"
#include "crypto/hash.h"
#include "lineage/read_internal.h"
#include "lineage/state.h"

namespace retort::lineage {
namespace {

using corpus::Record;
using terms::TrainGenerative;
using Weights = corpus::ClearedWeights<TrainGenerative>;

std::vector<TermsShare> count_terms(const std::vector<Record>& records) {
  std::map<std::vector<std::string>, int64_t> counts;
  for (const auto& record : records) {
    std::set<std::string> ids;
    for (const auto& reference : record.terms) ids.insert(reference.id);
    ++counts[{ids.begin(), ids.end()}];
  }
  std::vector<TermsShare> out;
  for (const auto& [ids, n] : counts) out.push_back({ids, n});
  return out;
}

// A door with the model that is asked there, as the log's dictionary has it.
using DoorKey = std::tuple<std::string, std::string, std::string, std::string>;

Result<std::map<DoorKey, int64_t>> logged_doors(ledger::Ledger& ledger) {
  std::map<DoorKey, int64_t> out;
  RETORT_TRY_VOID(ledger.for_each("door", [&](const ledger::Entry& entry) -> Result<void> {
    DoorKey key;
    RETORT_TRY(std::get<0>(key), entry.body.string_at("provider", ""));
    RETORT_TRY(std::get<1>(key), entry.body.string_at("endpoint", ""));
    RETORT_TRY(std::get<2>(key), entry.body.string_at("plan", ""));
    RETORT_TRY(std::get<3>(key), entry.body.string_at("model", ""));
    out[key] = entry.index;
    return {};
  }));
  return out;
}

DoorKey key_of(const corpus::Door& door, const std::string& model) {
  return {door.provider, door.endpoint, door.plan, model};
}

Result<std::vector<DoorShare>> count_doors(ledger::Ledger& ledger,
                                           const std::vector<Record>& records) {
  RETORT_TRY(const auto doors, logged_doors(ledger));
  std::map<DoorKey, int64_t> counts;
  for (const auto& record : records) {
    std::set<DoorKey> of_record{key_of(record.door, record.model)};
    for (const auto& origin : record.origins) of_record.insert(key_of(origin.door, origin.model));
    for (const auto& key : of_record) ++counts[key];
  }
  std::vector<DoorShare> out;
  for (const auto& [key, n] : counts) {
    const auto found = doors.find(key);
    if (found == doors.end()) {
      return base::bad_input("a record came through a door that the log does not know",
                             std::get<1>(key));
    }
    out.push_back({found->second, n});
  }
  return out;
}

Result<std::vector<int64_t>> shard_entries(ledger::Ledger& ledger,
                                           const std::vector<std::string>& digests) {
  std::vector<int64_t> out;
  for (const auto& digest : digests) {
    RETORT_TRY(const auto entry, ledger.find("shard", digest));
    out.push_back(entry.index);
  }
  std::sort(out.begin(), out.end());
  return out;
}

Result<WeightsUsed> weights_used(const Weights& weights) {
  WeightsUsed out{.digest = weights.digest(),
                  .model = weights.model(),
                  .verdict = weights.permit().leaf,
                  .terms = weights.permit().terms_ids,
                  .files = {}};
  if (base::is_directory(weights.path())) {
    RETORT_TRY(out.files, weights_of(weights.path()));
  } else {
    // Its digest is the one that was cleared.
    RETORT_TRY(out.files, list_weights(weights.path()));
    out.files.front().sha256 = weights.digest();
  }
  return out;
}

// The entries of the declarations of these ids; the same one may have been signed twice.
Result<std::vector<int64_t>> declaration_entries(ledger::Ledger& ledger,
                                                 const std::set<std::string>& ids) {
  std::vector<int64_t> out;
  if (ids.empty()) return out;
  RETORT_TRY_VOID(ledger.for_each("declaration", [&](const ledger::Entry& entry) -> Result<void> {
    RETORT_TRY(const auto id, entry.body.string_at("id"));
    if (ids.contains(id)) out.push_back(entry.index);
    return {};
  }));
  return out;
}

// What the verdicts say that this program has no other way to know.
Result<void> read_verdicts(ledger::Ledger& ledger, RunManifest& run) {
  std::set<std::string> declared;
  for (const int64_t index : run.verdicts) {
    RETORT_TRY(const auto verdict, ledger.entry(index));
    RETORT_TRY_VOID(
        for_each_of(verdict.body, "declarations", [&](const json::Value& item) -> Result<void> {
          RETORT_TRY(auto id, item.string_at("id"));
          declared.insert(std::move(id));
          return {};
        }));
    if (index != run.verdicts.front()) continue;
    const auto* purpose = verdict.body.find("purpose");
    if (purpose == nullptr) return base::bad_input("a verdict names no purpose", "", "");
    run.purpose = *purpose;
    RETORT_TRY(run.model_id, purpose->string_at("model_id"));
  }
  RETORT_TRY(run.declarations, declaration_entries(ledger, declared));
  return {};
}

Result<RunManifest> manifest_of(ledger::Ledger& ledger, const RunInput& input) {
  RunManifest run;
  run.program = input.program;
  run.tokenizer = input.tokenizer;
  run.objective = input.objective;
  run.options = input.options;
  run.seed = input.seed;
  run.isolated = input.isolated;
  const auto& permit = input.data.permit();
  RETORT_TRY(run.shards, shard_entries(ledger, permit.shards));
  RETORT_TRY(const auto verdict, ledger.entry(permit.leaf));
  RETORT_TRY(run.split, verdict.body.string_at("split"));
  run.records = input.data.size();
  run.selection = input.data.digest();
  run.by_terms = count_terms(input.data.records());
  RETORT_TRY(run.by_door, count_doors(ledger, input.data.records()));
  run.verdicts.push_back(permit.leaf);
  if (input.held_out != nullptr) {
    const auto& measured = input.held_out->permit();
    Evaluation evaluation;
    RETORT_TRY(evaluation.shards, shard_entries(ledger, measured.shards));
    RETORT_TRY(const auto its, ledger.entry(measured.leaf));
    RETORT_TRY(evaluation.split, its.body.string_at("split"));
    evaluation.records = input.held_out->size();
    run.evaluation = std::move(evaluation);
    run.verdicts.push_back(measured.leaf);
  }
  if (input.base != nullptr) {
    RETORT_TRY(run.base, weights_used(*input.base));
    run.verdicts.push_back(run.base->verdict);
  }
  if (input.teacher != nullptr) {
    RETORT_TRY(auto teacher, weights_used(*input.teacher));
    run.verdicts.push_back(teacher.verdict);
    run.teachers.push_back(std::move(teacher));
  }
  if (input.door != nullptr) {
    const auto& its = input.door->permit();
    DoorAsked asked{.door = input.door->entry(), .verdict = its.leaf, .terms = its.terms_ids};
    std::sort(asked.terms.begin(), asked.terms.end());
    run.verdicts.push_back(its.leaf);
    run.asked.push_back(std::move(asked));
  }
  RETORT_TRY_VOID(read_verdicts(ledger, run));
  return run;
}

// What was cleared before a withdrawal may be what was withdrawn.
Result<void> check_cleared_since(ledger::Ledger& ledger, const RunManifest& run) {
  RETORT_TRY(const auto withdrawals, corpus::read_withdrawals(ledger));
  if (withdrawals.empty()) return {};
  const auto& last = withdrawals.back();
  for (const int64_t verdict : run.verdicts) {
    if (verdict > last.entry) continue;
    return Error{ErrorCode::refused_by_terms,
                 "permission was withdrawn since these records were cleared: " + last.sentence(),
                 fmt::format("entry {}", verdict), "start again: they are cleared anew"};
  }
  return {};
}

Result<ModelEntry> append_model(ledger::Ledger& ledger, const std::string& name,
                                const ModelEntry& model) {
  RETORT_TRY(const auto index, ledger.append("model", name, to_json(model)));
  RETORT_TRY(const auto entry, ledger.entry(index));
  return model_from_entry(entry);
}

}  // namespace

Result<LoggedRun> log_run(ledger::Ledger& ledger, const RunInput& input) {
  RETORT_TRY(const auto run, manifest_of(ledger, input));
  RETORT_TRY_VOID(check_cleared_since(ledger, run));
  std::vector<ModelFile> weights;
  if (run.base) weights = run.base->files;
  for (const auto& teacher : run.teachers) {
    weights.insert(weights.end(), teacher.files.begin(), teacher.files.end());
  }
  RETORT_TRY_VOID(check_usable(ledger, weights, "training"));
  for (const auto* from : {input.base, input.teacher}) {
    if (from == nullptr) continue;
    RETORT_TRY_VOID(check_usable_where_it_lies(ledger, from->path(), "training"));
  }
  json::Value body = to_json(run);
  const std::string name = run_name(body);
  RETORT_TRY(const auto index, ledger.append("run", name, std::move(body)));
  RETORT_TRY(auto logged, find_run(ledger, index));
  return LoggedRun(std::move(logged));
}

Result<ModelEntry> log_model(ledger::Ledger& ledger, const ModelInput& input) {
  RETORT_TRY(auto artifact, artifact_of(input.path));
  ModelEntry model;
  model.model_id = input.model_id;
  model.form = input.form;
  model.run = input.run;
  model.made_from = input.made_from;
  model.kept = input.kept;
  model.files = std::move(artifact.files);
  RETORT_TRY(auto logged, append_model(ledger, artifact.digest, model));
  // Two runs may come to the same bytes; each of them has to be found from the model.
  if (logged.run == model.run) return logged;
  return append_model(ledger, fmt::format("{}@{}", artifact.digest, model.run), model);
}

Result<void> log_served(ledger::Ledger& ledger, const ServedDoor& at, const std::string& path) {
  ServedEntry served;
  served.at = at;
  RETORT_TRY(served.files, weights_of(path));
  RETORT_TRY_VOID(check_usable(ledger, served.files, "serve"));
  json::Value body = to_json(served);
  const std::string name = crypto::sha256_hex(json::canonical(body));
  RETORT_TRY_VOID(ledger.append("served", name, std::move(body)));
  return {};
}

Result<RunManifest> find_run(ledger::Ledger& ledger, int64_t index) {
  RETORT_TRY(const auto entry, ledger.entry(index));
  if (entry.kind != "run") {
    return base::bad_input(fmt::format("entry {} is a {}, not a run", index, entry.kind),
                           ledger.folder());
  }
  return run_from_entry(entry);
}

Result<ModelEntry> find_model(ledger::Ledger& ledger, const std::string& name) {
  RETORT_TRY(const auto entry, ledger.find("model", name));
  return model_from_entry(entry);
}

namespace {

template <class T>
Result<std::vector<T>> all_of(ledger::Ledger& ledger, const char* kind,
                              Result<T> (*read)(const ledger::Entry&)) {
  std::vector<T> out;
  RETORT_TRY_VOID(ledger.for_each(kind, [&](const ledger::Entry& entry) -> Result<void> {
    RETORT_TRY(auto one, read(entry));
    out.push_back(std::move(one));
    return {};
  }));
  return out;
}

}  // namespace

Result<std::vector<RunManifest>> all_runs(ledger::Ledger& ledger) {
  return all_of(ledger, "run", run_from_entry);
}

Result<std::vector<ModelEntry>> all_models(ledger::Ledger& ledger) {
  return all_of(ledger, "model", model_from_entry);
}

Result<std::vector<ServedEntry>> all_served(ledger::Ledger& ledger) {
  return all_of(ledger, "served", served_from_entry);
}

}  // namespace retort::lineage
