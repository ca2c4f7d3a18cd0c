// The stages of a run as a list. A stage is skipped when its summary on disk carries the
// fingerprint that it would have now: same options, same inputs, same outputs still there.
#pragma once
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "pipeline/run_options.h"
#include "pipeline/summary.h"

namespace retort::train {
class Collective;
}

namespace retort::pipeline {

// What the stages of one run share.
struct RunContext {
  RunOptions options;
  std::string ledger;                       // folder of the log
  std::string command;                      // to repeat the run
  train::Collective* collective = nullptr;  // processes that train together; nullptr: one

  std::string path(const std::string& name) const;  // inside OUT
};

struct Stage {
  std::string name;
  // Option tables whose change runs the stage again ("train", "student").
  std::vector<std::string> tables;
  // Files and folders that it reads (digests go into the fingerprint) and writes, inside OUT.
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  // Fills counts, notes; the rest of the summary is the caller's.
  std::function<Result<void>(RunContext&, Summary&)> run;
  // Called when half of it was done with other options or inputs, which cannot be gone on with.
  std::function<Result<void>(RunContext&)> forget = nullptr;
  // What else the stage's work depends on, for the fingerprint; "" adds nothing.
  std::function<Result<std::string>(RunContext&)> depends_on = nullptr;
  // Asked even where the stage is done: whether what it made may still be used.
  std::function<Result<void>(RunContext&)> check = nullptr;
};

// collect, curate, tokenizer, train, evaluate, export: in this order.
std::vector<Stage> stages();

// Runs one stage unless it is done; returns its summary either way.
Result<Summary> run_stage(RunContext& context, const Stage& stage);

}  // namespace retort::pipeline
