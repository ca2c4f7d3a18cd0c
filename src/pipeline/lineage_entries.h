// What the stages write into the log of lineage: the run before its first step, the model files
// before anybody can take them, the file that a run serves before it is asked.
#pragma once
#include <string>
#include <vector>

#include "lineage/manifest.h"
#include "pipeline/stage.h"

namespace retort::pipeline {

// What the train stage gives of the manifest; the clearance's results come from it as well.
Result<lineage::LoggedRun> log_run(const RunContext& context, ledger::Ledger& log,
                                   lineage::RunInput input);
// OUT/train/final, just written; `kept`: the checkpoints that stay (isolation.h); `merged`: names
// of the adapters in it that are models of their own.
Result<void> log_checkpoint(const RunContext& context, ledger::Ledger& log,
                            const lineage::RunManifest& run, json::Value kept = {},
                            const std::vector<std::string>& merged = {});
// The model that lies at `name` in OUT; refused where the log does not know its bytes.
Result<lineage::ModelEntry> logged_model(const RunContext& context, ledger::Ledger& log,
                                         const std::string& name);
// OUT/train/final.
Result<lineage::ModelEntry> logged_checkpoint(const RunContext& context, ledger::Ledger& log);
// The exported files in `folder`, before they are published.
Result<void> log_exported(const lineage::ModelEntry& checkpoint, ledger::Ledger& log,
                          const std::string& folder);
// Behind this door a file of this machine answers: who learns from it learns from that model.
Result<void> log_served(const RunContext& context, ledger::Ledger& log);

}  // namespace retort::pipeline
