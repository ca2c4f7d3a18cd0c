#include "pipeline/lineage_entries.h"

#include "base/files.h"
#include "collect/wire.h"
#include "pipeline/permission.h"
#include "pipeline/run_file.h"
#include "pipeline/summary.h"

namespace retort::pipeline {
namespace {

constexpr const char* kFinal = "train/final";

}  // namespace

Result<lineage::LoggedRun> log_run(const RunContext& context, ledger::Ledger& log,
                                   lineage::RunInput input) {
  RunOptions options = context.options;
  const base::Options table = describe(options);
  input.program = "retort " RETORT_VERSION;
  RETORT_TRY(input.tokenizer, digest_of(context.path("tokenizer")));
  input.objective = options.train.objective;
  input.options =
      fingerprint({{"[train]", to_toml(table, "train")}, {"[student]", to_toml(table, "student")}});
  input.seed = options.train.seed;
  return lineage::log_run(log, input);
}

Result<void> log_checkpoint(const RunContext& context, ledger::Ledger& log,
                            const lineage::RunManifest& run, json::Value kept,
                            const std::vector<std::string>& merged) {
  lineage::ModelInput model{.path = context.path(kFinal),
                            .model_id = run.model_id,
                            .form = "checkpoint",
                            .run = run.entry,
                            .made_from = {},
                            .kept = std::move(kept)};
  if (run.base) model.made_from.push_back(run.base->digest);
  for (const auto& teacher : run.teachers) model.made_from.push_back(teacher.digest);
  model.made_from.insert(model.made_from.end(), merged.begin(), merged.end());
  RETORT_TRY_VOID(lineage::log_model(log, model));
  return {};
}

Result<lineage::ModelEntry> logged_checkpoint(const RunContext& context, ledger::Ledger& log) {
  return logged_model(context, log, kFinal);
}

Result<lineage::ModelEntry> logged_model(const RunContext& context, ledger::Ledger& log,
                                         const std::string& name) {
  const std::string path = context.path(name);
  RETORT_TRY(const auto artifact, lineage::artifact_of(path));
  auto model = lineage::find_model(log, artifact.digest);
  if (model || model.error().code != ErrorCode::not_found) return model;
  return base::bad_input("the log does not know these trained weights", path,
                         "they were changed, or trained under another log: remove " +
                             summary_path(context.options.out, "train") + " and train again");
}

Result<void> log_exported(const lineage::ModelEntry& checkpoint, ledger::Ledger& log,
                          const std::string& folder) {
  const std::pair<const char*, const char*> forms[] = {
      {"student", "safetensors"}, {"adapter", "adapter"}, {"student.gguf", "gguf"}};
  for (const auto& [name, form] : forms) {
    const std::string path = base::join(folder, name);
    if (!base::exists(path)) continue;
    lineage::ModelInput model{.path = path,
                              .model_id = checkpoint.model_id,
                              .form = form,
                              .run = checkpoint.run,
                              .made_from = {checkpoint.name}};
    model.made_from.insert(model.made_from.end(), checkpoint.made_from.begin(),
                           checkpoint.made_from.end());
    RETORT_TRY_VOID(lineage::log_model(log, model));
  }
  return {};
}

Result<void> log_served(const RunContext& context, ledger::Ledger& log) {
  if (context.options.serve.empty()) return {};
  return lineage::log_served(log,
                             {.door = collect::door_of(teacher_of(context.options)),
                              .model = context.options.teacher.model},
                             context.options.serve);
}

}  // namespace retort::pipeline
