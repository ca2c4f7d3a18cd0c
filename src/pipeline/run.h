// Runs the stages of a run file in order, each skipped when it is done; writes the report. And what
// can be said before: the plan and the verdict of the terms.
#pragma once
#include <optional>
#include <string>

#include "base/result.h"
#include "pipeline/run_options.h"

namespace retort::train {
class Collective;
}

namespace retort::pipeline {

struct RunControl {
  std::string only_stage;                   // "" for all
  std::string command;                      // to repeat it, for the report
  bool json = false;                        // summaries as JSON on stdout instead of tables
  train::Collective* collective = nullptr;  // processes that train together; nullptr: one
};

// Errors carry the exit code: refused_by_terms before anything was asked or trained, interrupted
// after Ctrl-C; what was done is kept in any case.
Result<void> run(RunOptions options, const RunControl& control);

// Words for people, and the refusal when the terms do not permit the purpose.
struct Statement {
  std::string words;
  std::optional<Error> refusal;
};
// Would records gathered now be permitted for every action of the purpose? Asks nobody, logs
// nothing.
Result<Statement> verdict_text(RunOptions& options);
// Cost, time, memory, disk and the verdict; asks nobody, writes nothing. Takes some seconds,
// because speeds are measured.
Result<Statement> plan_text(RunOptions& options);

// The folder of the log for this run, whether it exists yet or not.
std::string ledger_folder(const RunOptions& options);

}  // namespace retort::pipeline
