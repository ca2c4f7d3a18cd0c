// What the log's withdrawals mean for records, weights and doors. Immutable once loaded.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "corpus/declarations.h"
#include "corpus/record.h"
#include "corpus/withdrawals.h"
#include "terms/evaluate.h"

namespace retort::corpus {

class Withdrawn {
 public:
  Withdrawn() = default;
  Withdrawn(Withdrawn&&) = default;
  Withdrawn& operator=(Withdrawn&&) = default;
  Withdrawn(const Withdrawn&) = delete;
  Withdrawn& operator=(const Withdrawn&) = delete;
  // `terms`: all that are known, their signatures checked.
  static Result<Withdrawn> load(ledger::Ledger& ledger, const terms::TermsSet& terms,
                                const std::vector<LoggedDeclaration>& declarations);

  bool empty() const { return all_.empty(); }
  // Whether it matters which record is asked about, beside what it was gathered under and when.
  bool names_records() const { return !keys_.empty() || !places_.empty(); }
  // From when on some of them reach.
  std::set<int64_t> moments() const;
  // The terms without the readings that signed ones took the place of.
  terms::TermsSet judged_by(const terms::TermsSet& terms) const;
  // The terms that a part is to be judged by, with wrong readings replaced or joined by the right
  // ones.
  terms::Facts corrected(terms::Facts facts) const;

  // Why a record may be used for nothing any more; none: no withdrawal denies it.
  std::vector<terms::Finding> against(const Record& record, terms::Action action) const;
  // Likewise of what is used or gathered at `facts.captured_ms`.
  std::vector<terms::Finding> against(const terms::Facts& facts, terms::Action action) const;
  // Whether a withdrawal is about the record at all, or about what permitted it.
  bool concerns(const Record& record) const;

 private:
  // A door as its entry has it; `provider` is not known of facts.
  struct DoorSubject {
    const Withdrawal* withdrawal;
    std::string provider, endpoint, plan, model;
  };
  Result<void> add_door(ledger::Ledger& ledger, const Withdrawal& one);
  const Withdrawal* denies(const Origin& origin) const;

  std::vector<Withdrawal> all_;
  std::multimap<std::string, const Withdrawal*> terms_;  // that deny, by the terms' id
  std::vector<DoorSubject> doors_;
  std::map<std::string, const Withdrawal*> keys_;    // of records
  std::map<std::string, const Withdrawal*> places_;  // "SHARD:ROW", for those derived from it
  struct Correction {
    std::string wrong, right;
    bool replaces = false;
  };
  std::vector<Correction> corrections_;  // in the order of the log
  std::set<std::string> asked_anew_;     // ids of terms whose reading or declaration ended
};

}  // namespace retort::corpus
