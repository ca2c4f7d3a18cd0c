// Withdrawing: what the log holds under terms, a door, a record or a declaration may be used no
// more, and every model that learnt from it is frozen. The withdrawal, those that follow from it
// and the states of all models concerned are appended together, or not at all.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "corpus/withdrawals.h"
#include "json/value.h"
#include "ledger/ledger.h"
#include "lineage/exact_runs.h"
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

// A record that is withdrawn, as it lies in the shards. An index is never asked: what it says is
// in no log, and who edits it would free a model.
struct WithdrawnRecord {
  std::vector<corpus::Withdrawal> derived = {};  // what was made from it
  FoundRecord found = {};
};
// Entries, times, `follows`, `runs` and `again` are set here. usage and not_found as
// corpus::check() has them. `record` nullptr: all that learnt from a withdrawn record's shard is
// concerned.
Result<WithdrawalReport> withdraw(ledger::Ledger& log, const corpus::Withdrawal& what,
                                  const WithdrawnRecord* record = nullptr);

// The entries "model" that a withdrawal of the log concerns.
Result<std::vector<int64_t>> concerned_models(ledger::Ledger& log, const Lineage& lineage,
                                              const corpus::Withdrawal& withdrawal);

struct TakeBackReport {
  corpus::Withdrawal withdrawal = {};
  int64_t entry = -1;                    // of the retraction
  std::vector<StateEntry> cleared = {};  // models that nothing else speaks against
  std::vector<Standing> barred = {};     // those that it concerned and that stay as they are
};
// Takes back the withdrawal of this entry, by an envelope that its holder signed
// (corpus/retraction.h), with everything that followed from it alone: in one transaction. Errors as
// withdrawal_to_take_back() and retraction_entry() have them.
Result<TakeBackReport> take_back(ledger::Ledger& log, int64_t withdrawal,
                                 const json::Value& envelope);

}  // namespace retort::lineage
