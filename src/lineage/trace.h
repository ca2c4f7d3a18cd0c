// Forward through the log: what learnt from it? From terms, a door, a record, a declaration or
// weights to the shards that hold answers under them, to those derived from these, to the runs that
// learnt from any of them, to the models of these runs and to what was made of those models: copies
// in other formats, merges, adapters, students of students. A model that is served taints the door
// it stands behind, and so all that was gathered there. To a fixed point; taint only grows with the
// log, and an entry that cannot say where it comes from counts as tainted.
//
// A Lineage holds the log's lineage as a graph (some bytes an edge) at the size that the log had
// when it was read. Reading it is safe from any thread.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/ledger.h"

namespace retort::corpus {
class RecordIndex;
}

namespace retort::lineage {

struct Question {
  enum class Kind : uint8_t { kTerms, kDoor, kRecord, kDeclaration, kWeights };
  Kind kind = Kind::kTerms;
  // Of terms their id or their series (then all its versions), of a declaration its id; of a door
  // the name of its entry, its endpoint or its provider (then all that fit); of a record its key,
  // or "SHARD:ROW" with a shard's digest; of weights a digest, the name of a model's entry, a
  // file's SHA-256 or a model_id. Eight digits of a digest or id, or more, are enough where they
  // fit one only.
  std::string id = {};
};
const char* name(Question::Kind kind);

// Why an entry is concerned: because of this other one (its own number where the question itself
// names it), after how many runs on the way from there. A shard of generation 0 holds the
// question's own records, the model of a run that learnt from them is of generation 1, as are the
// answers that this model gives; a student of that model is of generation 2.
struct Reason {
  uint64_t because = 0;
  int generation = 0;
  // Only because some shard on the way does not say what it was made from, or through which doors
  // its answers came; such a shard counts as concerned by whatever is before it in the log.
  bool assumed = false;
  bool operator==(const Reason&) const = default;
};

// Numbers of entries, ascending.
struct Trace {
  std::vector<uint64_t> shards;  // that hold records concerned
  std::vector<uint64_t> runs;
  std::vector<uint64_t> models;
  std::vector<uint64_t> doors;         // asked about, or with a concerned model behind them
  std::vector<uint64_t> declared;      // declarations asked about
  std::map<uint64_t, Reason> reasons;  // one for each of the above
  // Records of generation 0 in `shards`. All of a shard's where only whole shards are known, which
  // for terms is exact: a shard has one set of terms.
  uint64_t records = 0;
  uint64_t students_records = 0;  // answers of concerned models, and what was derived from them
  bool whole_shards = false;      // a record's shards were followed instead of the record
  // With an index: the record and all that was made from it, as rows of shards, ascending.
  std::map<uint64_t, std::vector<uint32_t>> rows;
  uint64_t log_size = 0;  // entries that were looked at
};

class Lineage {
 public:
  Lineage();
  Lineage(Lineage&&) noexcept;
  Lineage& operator=(Lineage&&) noexcept;
  ~Lineage();

  // All entries that the log has now; later ones are taken in by update().
  static Result<Lineage> read(ledger::Ledger& log);
  Result<void> update(ledger::Ledger& log);
  // One entry, in the log's order; kinds without lineage are passed over. bad_input for a body that
  // is not what it should be or that a newer program wrote.
  Result<void> add(const ledger::Entry& entry);

  // not_found when the log knows nothing of that name; usage when several things have it. With an
  // index a record is followed row by row; without one shard by shard (Trace::whole_shards), and
  // its key alone does not tell where it is. An index that lacks a shard that is needed is
  // bad_input.
  Result<Trace> trace(const Question& question, const corpus::RecordIndex* index = nullptr) const;

  // What came of these runs (entries): their models, and all that came of those.
  Trace trace_runs(const std::vector<int64_t>& runs) const;

  uint64_t log_size() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Reads the log and asks it once.
Result<Trace> trace(ledger::Ledger& log, const Question& question,
                    const corpus::RecordIndex* index = nullptr);

}  // namespace retort::lineage
