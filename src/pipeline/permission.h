// The log and the clearance of a run, opened from its options.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "corpus/clearance.h"
#include "ledger/ledger.h"
#include "pipeline/run_options.h"
#include "terms/terms.h"

namespace retort::pipeline {

// Where a teacher is asked what it thinks of given texts, below its address.
inline constexpr const char* kScoringRoute = "/completions";

// All terms files that the run file names.
std::vector<std::string> terms_paths(const RunOptions& options);
Result<terms::TermsSet> terms_of(const RunOptions& options);
// The teacher as it is asked. One that the run itself serves has an address on this machine, whose
// port is known only once it listens; on record the port does not count.
collect::Teacher teacher_of(const RunOptions& options);

// What a run is going to use, as its terms are asked about it: the teacher's answers as they will
// stand on the record, own data, base weights. `label` is for people.
struct PlannedUse {
  std::string label;
  terms::Facts facts;
};
Result<std::vector<PlannedUse>> planned_uses(const RunOptions& options);

// The verdict over each use, for every action of the purpose, by the versions and declarations that
// the log has as well, where there is a log. Logs nothing.
struct PlannedVerdict {
  PlannedUse use;
  terms::Verdict verdict;
};
struct PlannedVerdicts {
  std::vector<PlannedVerdict> verdicts;
  terms::TermsSet terms;  // all that are known
};
Result<PlannedVerdicts> plan_verdicts(const RunOptions& options);

// The statement by which a person would answer what the terms of this run leave to one, to be read
// and signed. Its model_id is that of the run.
Result<std::string> draft_declaration(const RunOptions& options, terms::DeclarationDraft draft);

struct Permission {
  std::unique_ptr<ledger::Ledger> log;
  std::unique_ptr<corpus::Clearance> clearance;
  static Result<Permission> open(const RunOptions& options, const std::string& ledger_folder);
  // Adds what was decided to OUT/summary/permission.json.
  Result<void> write(const std::string& out) const;
};

}  // namespace retort::pipeline
