// Which runs learnt from a record, exactly: told from its rows as they were found in shards whose
// bytes were checked against the log. What was not read counts as concerned wherever it can be.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "corpus/sealed_files.h"
#include "ledger/ledger.h"

namespace retort::lineage {

// A record and all that was derived from it.
struct FoundRecord {
  std::map<std::string, std::set<std::string>> splits;  // of its rows, by shard; "": not known
  std::set<std::string> read;                           // every shard that was looked through
};
FoundRecord found_record(const std::vector<corpus::PlacedRecord>& rows, std::set<std::string> read);

// Entries, ascending. Nothing where there are too many to be named in an entry.
Result<std::optional<std::vector<int64_t>>> runs_that_learnt(ledger::Ledger& log,
                                                             const FoundRecord& found);

}  // namespace retort::lineage
