// Asks a teacher for the answers to a run's prompts, within a budget, and seals them. The same call
// after a stop, a crash or a kill goes on where it was: what is answered is not asked again.
#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "collect/asking.h"
#include "collect/options.h"
#include "corpus/gathering.h"
#include "corpus/shard.h"
#include "ledger/ledger.h"

namespace retort::collect {

struct Place {
  std::string database;   // OUT/corpus.db
  std::string shards;     // OUT/shards
  std::string principal;  // who asks: an account or key id, never a key
};

struct Summary {
  int64_t planned = 0;  // requests of this run file
  int64_t done = 0;     // of them
  int64_t failed = 0;
  int64_t requests = 0;  // calls made, over all runs
  int64_t retries = 0;   // in this run
  int64_t resent = 0;    // calls made again after a crash
  corpus::Spend spend;   // over all runs
  std::map<std::string, int64_t> finish_reasons;
  corpus::SealReport sealed;
  std::vector<std::string> notes;  // sentences for the report
  double seconds = 0;
};

// Errors: usage and bad_input before anything is sent; budget_reached, upstream, interrupted and
// storage with all that was answered kept and, but for storage, sealed. That some requests were
// given up is no error unless none was answered; the notes say how many and why.
Result<Summary> collect(const Teacher& teacher, const Options& options, const Place& place,
                        ledger::Ledger& ledger);

// The keys of the records that this run file asks for. A database may hold others, of an earlier
// version of the file.
Result<std::set<std::string>> planned_keys(const Teacher& teacher, const Options& options);

struct Estimate {
  int64_t prompts = 0;
  int64_t requests = 0;  // planned
  int64_t done = 0;      // answered already
  Spend likely;          // of what is still to be asked
  Spend most;
  double seconds = 0;  // for the likely answer tokens at `tokens_per_s`; 0 when that is 0
  std::vector<std::string> notes;
};
// Reads the prompts and, if it is there, the database; asks nobody. `database` may be missing.
Result<Estimate> estimate(const Teacher& teacher, const Options& options,
                          const std::string& database, double tokens_per_s);

}  // namespace retort::collect
