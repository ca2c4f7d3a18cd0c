// What terms are asked about records that stand in the log: where they came from, when, under which
// terms. No texts, so no clearance is needed. For people who want to know why; nothing learns from
// this. One thread a ledger.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "json/value.h"
#include "ledger/ledger.h"
#include "terms/evaluate.h"
#include "terms/statement.h"
#include "terms/terms.h"

namespace retort::corpus {

struct LoggedUse {
  std::string label;     // "answers of gpt-x through https://…"
  terms::Facts facts;    // captured_ms is the first capture
  int64_t until_ms = 0;  // the last one
  int64_t records = 0;
};

// All terms files that the log holds, their signatures checked.
Result<terms::TermsSet> logged_terms(ledger::Ledger& ledger, const terms::Deciders& deciders);

// By the entries of shards, one for each set of terms and door; `records` counts whole shards.
Result<std::vector<LoggedUse>> uses_of_shards(ledger::Ledger& ledger,
                                              const std::vector<int64_t>& entries);
// Of one record of a sealed shard: one an ancestor. The shard is checked as a whole.
Result<std::vector<LoggedUse>> uses_of_record(ledger::Ledger& ledger, const std::string& shard,
                                              int64_t row);

// As runs and verdicts have it in the log.
Result<terms::Purpose> purpose_from_json(const json::Value& value, const std::string& where);

}  // namespace retort::corpus
