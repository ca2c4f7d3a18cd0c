// A trace as JSON, and with its proofs as a folder that another program can check without the log;
// docs/reference/ledger-entries.md says what is in it.
#pragma once
#include <string>

#include "base/result.h"
#include "json/value.h"
#include "ledger/ledger.h"
#include "lineage/trace.h"

namespace retort::lineage {

json::Value to_json(const Question& question, const Trace& trace);

// Every entry that the answer names, and every one that a reason leads through, each with its
// proof. The folder must not exist yet.
Result<void> write_evidence(ledger::Ledger& log, const Question& question, const Trace& trace,
                            const std::string& folder);

}  // namespace retort::lineage
