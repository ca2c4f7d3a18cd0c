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

// All terms files that the run file names.
std::vector<std::string> terms_paths(const RunOptions& options);
Result<terms::TermsSet> terms_of(const RunOptions& options);
// The teacher as it is asked. One that the run itself serves has an address on this machine, whose
// port is known only once it listens; on record the port does not count.
collect::Teacher teacher_of(const RunOptions& options);
// The door that the teacher's answers will come through, as they will stand on the record.
Result<corpus::Origin> teacher_origin(const RunOptions& options);
// Where own data comes from.
Result<corpus::Origin> own_origin(const RunOptions& options);

struct Permission {
  std::unique_ptr<ledger::Ledger> log;
  std::unique_ptr<corpus::Clearance> clearance;
  static Result<Permission> open(const RunOptions& options, const std::string& ledger_folder);
  // Adds what was decided to OUT/summary/permission.json.
  Result<void> write(const std::string& out) const;
};

}  // namespace retort::pipeline
