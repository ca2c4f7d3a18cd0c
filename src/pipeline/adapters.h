// A run with one adapter a set of terms (train.isolate_by beside train.lora_rank): each learns from
// the records under these terms alone, beside the same frozen weights, in a training, a run of the
// log and a folder of its own (OUT/train/adapters/NAME). Taking a set of terms away takes its
// adapter away, and changes no byte of another one. The student, OUT/train/final, is the frozen
// weights with every adapter at its share of the records.
#pragma once
#include <string>
#include <vector>

#include "lineage/manifest.h"
#include "model/lora.h"
#include "pipeline/stage.h"
#include "pipeline/summary.h"
#include "release/export.h"

namespace retort::pipeline {

bool has_adapters_apart(const RunOptions& options);
// The train stage of such a run.
Result<void> run_train_apart(RunContext& context, Summary& summary);

// An adapter as the train stage left it.
struct PartAdapter {
  std::string name;  // of its folder, in OUT/train/adapters and OUT/adapters
  model::Adapter adapter;
  lineage::ModelEntry entry;  // both as the log has them
  lineage::RunManifest run;
  bool has_teacher = false;  // own texts alone have none
};
// In the order of their names; none where the run has no such adapters. Refused where the log does
// not know one, and where one may not be used.
Result<std::vector<PartAdapter>> load_part_adapters(const RunContext& context, ledger::Ledger& log,
                                                    const model::Config& config);
// What the export writes of them; `facts` are of the whole run. The adapters outlive it.
std::vector<release::AdapterOut> exported_adapters(const std::vector<PartAdapter>& adapters,
                                                   const release::ModelFacts& facts);
// Their exported folders, before they are published.
Result<void> log_exported_adapters(const std::vector<PartAdapter>& adapters, ledger::Ledger& log,
                                   const std::string& folder);
// Removes the published ones that the run no longer has.
Result<void> remove_other_adapters(const RunContext& context,
                                   const std::vector<PartAdapter>& adapters);

}  // namespace retort::pipeline
