// Withdrawing: what the log holds under terms, a door, a record or a declaration may be used no
// more, and every model that learnt from it is frozen. The withdrawal, those that follow from it
// and the states of all models concerned are appended together, or not at all.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "corpus/withdrawals.h"
#include "ledger/ledger.h"
#include "lineage/state.h"
#include "lineage/trace.h"

namespace retort::lineage {

struct WithdrawalReport {
  corpus::Withdrawal withdrawal = {};
  bool known = false;  // it stood in the log before
  // What follows from it: doors behind which a concerned model answers, records derived from the
  // one that was withdrawn.
  std::vector<corpus::Withdrawal> follow = {};
  uint64_t records = 0;                 // concerned directly
  std::vector<int64_t> shards = {};     // entries
  std::vector<int64_t> runs = {};       // entries
  std::vector<StateEntry> frozen = {};  // by this call
  std::vector<Standing> barred = {};    // concerned, and not clear before
};

// `what`, with `also`: what was derived from a record, found in the shards; their entries, times
// and `follows` are set here. usage and not_found as corpus::check() has them.
Result<WithdrawalReport> withdraw(ledger::Ledger& log, const corpus::Withdrawal& what,
                                  const std::vector<corpus::Withdrawal>& also = {},
                                  const corpus::RecordIndex* index = nullptr);

// The entries "model" that a withdrawal of the log concerns.
Result<std::vector<int64_t>> concerned_models(ledger::Ledger& log, const Lineage& lineage,
                                              const corpus::Withdrawal& withdrawal,
                                              const corpus::RecordIndex* index);

}  // namespace retort::lineage
