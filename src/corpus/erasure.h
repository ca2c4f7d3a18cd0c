// Erasing one record: its content, its salt and its log-probabilities go from every shard that
// holds it, from shards derived from it where the text is the same, and from the databases of
// gatherings. The log keeps the leaf, so the tree of the shard still leads to the root that was
// logged; without content and salt nobody can confirm what the leaf stood for.
// docs/reference/ledger.md says what stays: the record's key, and text that others wrote from it.
//
// Order: the new files synced beside the old ones, then the entries "erasure" (all in one
// transaction), then the new files take the place of the old, then the databases. Killed in
// between, the same command ends it: before the entries nothing has happened, after them no reader
// takes the old files any more.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "corpus/sealed_files.h"
#include "ledger/ledger.h"

namespace retort::corpus {

struct ErasureRequest {
  std::string record = {};  // as find_record() takes it
  std::vector<std::string> folders = {};
  std::string reason = {}, by = {};
  // Called before each step; an error ends the erasure there. For tests.
  std::function<Result<void>(const std::string& step)> before_step = nullptr;
};

struct ErasureReport {
  std::vector<PlacedRecord> erased;   // with copies and those that were erased before
  std::vector<PlacedRecord> derived;  // other text that was made from it: it stays
  std::vector<std::string> databases;
  bool known = false;  // all of them were erased before
};
Result<ErasureReport> erase(ledger::Ledger& ledger, const ErasureRequest& request);

// Brings shards in these folders up to the erasures that the log knows: those of an interrupted
// command, and copies that lay elsewhere. Returns the paths that changed.
Result<std::vector<std::string>> apply_erasures(ledger::Ledger& ledger,
                                                const std::vector<std::string>& folders);

}  // namespace retort::corpus
