// How the models of the log stand: whether what they learnt from may still be used. A model is
// clear until something that it learnt from is withdrawn; then it is frozen, whether an entry says
// so already or not, and is neither served, published, signed nor started from. Every move is an
// entry "state", named by the model's entry, "@" and its number, from 1.
//   clear        nothing speaks against it; every model without an entry
//   frozen       a withdrawal concerns it
//   traced       who was given it is known and was told
//   quarantined  its copies are where nobody uses them
//   remediated   a run without the withdrawn records made another in its place; it stays unused
//   withdrawn    it was taken back for good
// Only a clear model may be used. The way back is a verdict of after the withdrawal that permits
// exactly what it learnt from, or that the withdrawal is taken back (withdrawal.h).
//
// Errors: refused_by_gate for a model that may not be used and a move that is not legal; not_found;
// storage and bad_input for the log. One thread a ledger.
#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "corpus/withdrawals.h"
#include "ledger/ledger.h"
#include "lineage/manifest.h"

namespace retort::lineage {

enum class State : uint8_t { clear, frozen, traced, quarantined, remediated, withdrawn };
const char* name(State state);
Result<State> parse_state(const std::string& text);  // usage error for another word
// Whether there is such a move at all; what it needs besides is move()'s to check.
bool may_move(State from, State to);

struct StateEntry {
  int64_t entry = -1;
  int64_t time_ms = 0;
  std::string model = {};  // name of its entry
  int64_t number = 0;      // of the model's moves, from 1
  State state = State::clear;
  State before = State::clear;
  std::string reason = {};
  int64_t withdrawal = -1;      // entry; -1: none is the reason
  std::string remedy_run = {};  // name of a run
  int64_t retraction = -1;      // entry: back to clear because a withdrawal was taken back
  std::string by = {};
};
std::string name_of(const StateEntry& state);
json::Value to_json(const StateEntry& state);
Result<StateEntry> state_from_entry(const ledger::Entry& entry);
// In the order of the log.
Result<std::vector<StateEntry>> all_states(ledger::Ledger& log);

struct Standing {
  ModelEntry model = {};
  State state = State::clear;
  std::vector<StateEntry> moves = {};     // in their order
  std::vector<int64_t> withdrawals = {};  // entries of those that concern it and stand
  int64_t since_ms = 0;                   // of the state; 0 where it was always clear
  // The withdrawal, or the last move's words; "" of a clear one.
  std::string why = {};
  // What the last move says. `state` is another where a withdrawal froze it without an entry.
  State logged() const { return moves.empty() ? State::clear : moves.back().state; }
};

class Standings {
 public:
  // Verifies the log first: an edited one frees no model. `without`: the entry of a withdrawal that
  // is looked away from, with what follows from it.
  static Result<Standings> read(ledger::Ledger& log, int64_t without = -1);

  const std::vector<Standing>& all() const { return all_; }  // in the order of the log
  // By the name of the model's entry, eight of its digits or more, or its number; not_found, and
  // usage where several begin so.
  Result<const Standing*> find(const std::string& text) const;
  // The model that has a file of these bytes and may not be used; nullptr: there is none. Where
  // several have it the one logged last counts.
  const Standing* barred(const std::string& sha256) const;
  bool all_clear() const { return barred_.empty(); }
  // Whether a barred model has a file of this size: others need not be read.
  bool may_be_barred(int64_t bytes) const;

 private:
  std::vector<Standing> all_;
  std::map<std::string, size_t> barred_;  // by a file's SHA-256
  std::set<int64_t> barred_bytes_;        // the sizes of these files
};

// Refuses (refused_by_gate) a file or folder whose weights are those of a model that may not be
// used. `use`: "serve", "sign". Nothing is read where every model of the log is clear.
Result<void> check_usable(ledger::Ledger& log, const std::string& path, const std::string& use);
// The same of weights by their digests.
Result<void> check_usable(ledger::Ledger& log, const std::vector<ModelFile>& files,
                          const std::string& use);

// The same by the log that is nearest upwards from where the weights lie, unless that is `log` or
// there is none: what another house has frozen is not taken from there either.
Result<void> check_usable_where_it_lies(ledger::Ledger& log, const std::string& path,
                                        const std::string& use);

struct Move {
  std::string model = {};  // as Standings::find takes it
  State to = State::frozen;
  std::string by = {}, reason = {};
  std::string remedy_run = {};  // of remediated: name of a run, or eight of its digits
};
// Checks the move and writes its entry.
Result<StateEntry> move(ledger::Ledger& log, const Move& move);

}  // namespace retort::lineage
