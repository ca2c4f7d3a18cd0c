// What the parts of Clearance share.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "corpus/clearance.h"
#include "corpus/declarations.h"
#include "corpus/shard_internal.h"
#include "corpus/withdrawn_internal.h"

namespace retort::corpus {

// The verdicts over many records: the worst of them, and for every finding how many records it
// concerns and the keys of the first few.
class Tally {
 public:
  void add(const terms::Verdict& verdict, const std::string& key);
  // The same over so many records whose keys are not known.
  void add_alike(const terms::Verdict& verdict, int64_t records);
  // One that concerns no single record.
  void add(const terms::Verdict& verdict);
  // Refuses where more records rely on a declaration than it is for.
  void hold_to_limits(const std::vector<terms::Declaration>& declarations);

  bool permits() const { return total_.permits(); }
  terms::Decision decision() const { return total_.decision; }
  const std::vector<terms::OwedDuty>& duties() const { return total_.duties; }
  int64_t refused() const { return refused_; }
  // Ids of the declarations that the verdict relies on, and for how many records.
  std::map<std::string, int64_t> declared() const;

  // A refusal for people: clause, how many of `records`, the first keys.
  Error error(terms::Action action, int64_t records) const;
  // The findings for the log and the report, the most frequent first, clipped.
  json::Value to_json() const;

 private:
  struct Reason {
    terms::Finding finding;
    int64_t records = 0;
    std::vector<std::string> keys;  // the first few
  };
  std::vector<const Reason*> by_frequency() const;

  terms::Verdict total_;
  std::map<std::string, Reason> reasons_;  // by sentence
  struct Relying {
    int64_t records = 0;
    std::vector<std::string> keys;  // the first few
  };
  std::map<std::string, Relying> relying_;  // by declaration
  int64_t refused_ = 0;
};

// Terms that were asked about: how many records name them, and for which part of the record.
struct UsedTerms {
  int64_t records = 0;
  std::set<terms::Object> objects;
};

// One verdict as permission.json has it.
struct CheckMade {
  std::string path;
  terms::Action action = terms::Action::store;
  terms::Decision decision = terms::Decision::deny;
  int64_t records = 0;
  int64_t refused = 0;
  int64_t leaf = -1;
  json::Value findings;
};

struct ByColumns {
  Permit permit;
  std::string digest;  // of the selection
  Tally tally;
};

struct Clearance::Impl {
  ledger::Ledger& ledger;
  terms::TermsSet terms;  // known now, with those of the log once ready() was called
  base::Clock* clock;
  terms::Deciders deciders;
  CodeBook codes{ledger};
  bool is_ready = false;
  // As the log has them now; read anew by every check.
  std::vector<LoggedDeclaration> logged{};
  std::vector<terms::Declaration> declarations{};
  Withdrawn withdrawn{};
  terms::TermsSet judged_by{};              // `terms` without the readings that were corrected
  std::map<std::string, int64_t> relied{};  // records, by declaration
  std::map<std::string, UsedTerms> used{};
  std::vector<CheckMade> checks{};

  // The log is verified and its terms are known; the known ones stand in the log.
  Result<void> ready();
  // What check() would say of records whose contents were checked before (the log has a verdict
  // over the very same ones), by their columns alone. Nothing where these cannot tell, and where
  // the verdict would be a refusal, which names records.
  Result<std::optional<ByColumns>> by_columns(const Selection& selection,
                                              const terms::Purpose& purpose, terms::Action action);
  // Clearance::withdrawn_of() by the columns alone; nothing where they cannot tell.
  Result<std::optional<std::string>> withdrawn_by_columns(const Selection& selection,
                                                          const terms::Purpose& purpose) const;
  // Adds what the log knows, without verifying or writing anything: terms, declarations,
  // withdrawals.
  Result<void> read_log();
  // The verdict over one part, with what withdrawals say against it.
  terms::Verdict judge(const terms::Facts& facts, const terms::Purpose& purpose,
                       terms::Action action) const;
  // Whether curation keeps it, as far as withdrawals go.
  bool stays(const Record& record, const terms::Purpose& purpose) const;
  void note_declarations(const std::map<std::string, int64_t>& in_one_check);
  void note_terms(const std::map<std::string, UsedTerms>& in_one_check);
  // Of weights, or of a door that is asked: they are no records.
  void note_terms_of_no_record(const std::vector<terms::Reference>& references);
  // Those of these files, which are known and stand in the log afterwards.
  Result<terms::TermsSet> take_terms(const std::vector<std::string>& files);
};

// Counts the terms that a record names.
void count_terms(std::map<std::string, UsedTerms>& used,
                 const std::vector<terms::Reference>& references, int64_t records = 1);

// [{"id", "records"}].
json::Value declared_json(const std::map<std::string, int64_t>& declared);
json::Value purpose_json(const terms::Purpose& purpose);
// Of no record at all: the purpose must name the action even then.
terms::Verdict purpose_verdict(const terms::Purpose& purpose, terms::Action action);

}  // namespace retort::corpus
