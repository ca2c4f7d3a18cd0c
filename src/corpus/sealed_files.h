// Single records in sealed shards, wherever these lie, with what was derived from them: for
// withdrawing, erasing and proving one record. Reads the shards themselves, every byte checked.
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/ledger.h"

namespace retort::corpus {

struct SealedFile {
  std::string path;
  std::string digest;  // as the log names it
  int64_t entry = -1;  // of the log
};

struct PlacedRecord {
  SealedFile file;
  int64_t row = 0;
  std::string key;
  std::string split = {};     // "" also where the record was erased
  bool derived = false;       // from one that was asked for, and not asked for itself
  std::string place() const;  // "SHARD:ROW"
};
// The records of that key (64 hex digits, or eight of them and more), or the one at "SHARD:ROW",
// and everything in these folders that was derived from them, in the order of the log. not_found
// when there is none; usage when keys of several records begin so. `read` (may be null): the
// digests of all shards that were read for it.
Result<std::vector<PlacedRecord>> find_record(ledger::Ledger& ledger,
                                              const std::vector<std::string>& folders,
                                              const std::string& record,
                                              std::set<std::string>* read = nullptr);

}  // namespace retort::corpus
