// retort ledger trace and index: the verbs that ask what learnt from what.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/ledger.h"

namespace retort::cli {

struct TraceArguments {
  std::string terms = {}, door = {}, record = {}, declaration = {}, model = {};  // one of them
  std::string proofs = {};    // a folder to write them into
  std::string ids = {};       // a file for the records' keys and places
  bool whole_shards = false;  // of a record: from the log alone
};

Result<void> trace(ledger::Ledger& log, const TraceArguments& arguments);
Result<void> make_index(ledger::Ledger& log, const std::vector<std::string>& folders);

}  // namespace retort::cli
