// The verbs of `retort ledger` that change the log or follow what lies in it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/ledger_trace.h"
#include "ledger/ledger.h"

namespace retort::cli {

struct LedgerArguments {
  std::string verb = {};
  std::string what = {};    // MODEL, RECORD or FILE
  std::string folder = {};  // of the ledger
  int64_t index = -1;
  // withdraw
  std::string terms = {}, door = {}, record = {}, declaration = {};
  std::string why = {};           // --case
  std::string corrected_by = {};  // a terms file
  std::string from = {};          // a date
  std::vector<std::string> shards = {};
  std::string holder = {};  // a public key's file
  // withdraw, state
  std::string reason = {}, by = {};
  // state
  std::string to = {}, run = {};
  // prove, check, take-back
  std::string out = {};
  int64_t since = 0;
  std::string key = {}, against = {};
  TraceArguments trace = {};  // what only a trace takes; the rest is above
};

// Those given, or all beneath the folder that holds the ledger.
std::vector<std::string> shard_folders(const ledger::Ledger& log, const LedgerArguments& arguments);

Result<void> prove(ledger::Ledger& log, const LedgerArguments& arguments);
// With the log's public key alone.
Result<void> check_proof(const LedgerArguments& arguments);
Result<void> erase(ledger::Ledger& log, const LedgerArguments& arguments);
Result<void> withdraw(ledger::Ledger& log, const LedgerArguments& arguments);
Result<void> take_back(ledger::Ledger& log, const LedgerArguments& arguments);
Result<void> list_states(ledger::Ledger& log);
Result<void> move_state(ledger::Ledger& log, const LedgerArguments& arguments);

}  // namespace retort::cli
