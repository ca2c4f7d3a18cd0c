// The gate. Every path of bytes into a model passes here: optimizer, tokenizer trainer, n-gram
// baseline, evaluation with the teacher's answers as benchmark, base weights, own data, export. A
// Clearance checks that the shards' bytes are those that the log knows, that every record's terms
// permit the action for the declared purpose at the time of its capture (or a declaration in the
// log answers what they leave to a person), writes the verdict into the log (accepted or refused),
// and only then hands out the text as a type that names the action. These types are move-only and
// nobody else can make one. docs/internals/gate.md lists the paths.
//
// A refusal is an Error with code refused_by_terms that names the clause, how many records it
// concerns and the first few of their keys. Damaged or unlogged shards are bad_input. Everything a
// Cleared shows is held in memory. Reading is safe from any thread; a Clearance belongs to one.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/result.h"
#include "corpus/logprobs.h"
#include "corpus/record.h"
#include "corpus/shard.h"
#include "json/value.h"
#include "ledger/ledger.h"
#include "terms/cleared_text.h"
#include "terms/evaluate.h"
#include "terms/statement.h"

namespace retort::corpus {

using terms::Evaluate;
using terms::Judge;
using terms::PublishModel;
using terms::TrainGenerative;

// What was decided, and the entry of the log that says so.
struct Permit {
  terms::Action action = terms::Action::store;
  terms::Decision decision = terms::Decision::deny;
  std::vector<terms::OwedDuty> duties;
  int64_t records = 0;
  int64_t leaf = -1;                        // index of the verdict in the ledger
  std::vector<std::string> shards;          // digests
  std::vector<std::string> terms_ids;       // sorted
  std::vector<std::string> declarations{};  // ids of those that it relies on, sorted
};

// Which records, and what for.
struct Selection {
  std::string folder{};      // of sealed shards
  std::string split{};       // only records of this split; "" for all
  std::string path_label{};  // the path of bytes, for the log and the report: "optimizer"
  // They are checked in any case, and held in memory (about 90 bytes a token) only when asked for.
  bool logprobs = false;
  // Only these of the folder's shards, by their digests; none: all. One that is not there is
  // bad_input.
  std::vector<std::string> shards{};
};

class Clearance;
class Tally;

// Whether terms are asked about this action on that part: weights are trained from and published,
// and put to no other use.
bool asks_about(terms::Object object, terms::Action action);

// Records that may be used for one action.
template <class ActionTag>
class Cleared {
 public:
  Cleared(Cleared&&) noexcept = default;
  Cleared& operator=(Cleared&&) noexcept = default;
  Cleared(const Cleared&) = delete;
  Cleared& operator=(const Cleared&) = delete;

  static constexpr terms::Action kAction = ActionTag::kAction;

  int64_t size() const { return static_cast<int64_t>(records_->size()); }
  // messages, answer, slots, key, usage, split ...; rows keep the order of the shards.
  const Record& operator[](int64_t row) const { return (*records_)[static_cast<size_t>(row)]; }
  const std::vector<Record>& records() const { return *records_; }
  // What the teacher thought of the answer's tokens: as many as the record's logprob_tokens. Only
  // where the selection asked for them.
  std::vector<TokenLogprobs> logprobs(int64_t row) const {
    RETORT_CHECK(logprobs_.size() == records_->size(), "the selection did not ask for them");
    return logprobs_[static_cast<size_t>(row)].read();
  }
  const Permit& permit() const { return permit_; }
  // SHA-256 over the shards' digests and the split: names exactly these records in a manifest.
  const std::string& digest() const { return digest_; }

 private:
  friend class Clearance;
  Cleared(std::shared_ptr<const std::vector<Record>> records, std::vector<KeptLogprobs> logprobs,
          Permit permit, std::string digest)
      : records_(std::move(records)),
        logprobs_(std::move(logprobs)),
        permit_(std::move(permit)),
        digest_(std::move(digest)) {}

  std::shared_ptr<const std::vector<Record>> records_;
  std::vector<KeptLogprobs> logprobs_;
  Permit permit_;
  std::string digest_;
};

// Base weights that may be used for one action: a file or a folder, by the digest of its bytes.
template <class ActionTag>
class ClearedWeights {
 public:
  ClearedWeights(ClearedWeights&&) noexcept = default;
  ClearedWeights& operator=(ClearedWeights&&) noexcept = default;
  ClearedWeights(const ClearedWeights&) = delete;
  ClearedWeights& operator=(const ClearedWeights&) = delete;

  const std::string& path() const { return path_; }
  const std::string& digest() const { return digest_; }
  const std::string& model() const { return model_; }
  const Permit& permit() const { return permit_; }

 private:
  friend class Clearance;
  ClearedWeights(std::string path, std::string digest, std::string model, Permit permit)
      : path_(std::move(path)),
        digest_(std::move(digest)),
        model_(std::move(model)),
        permit_(std::move(permit)) {}

  std::string path_, digest_, model_;
  Permit permit_;
};

// A teacher as it is asked over HTTP about texts that are given to it.
struct Teaching {
  std::string base_url{};  // "https://api.example.com/v1"
  std::string route{};     // "/completions"
  std::string model{};
};

// A door that may be asked, for one action: what it says is used at once and is no record. Its
// clearance must outlive it.
template <class ActionTag>
class ClearedDoor {
 public:
  ClearedDoor(ClearedDoor&&) noexcept = default;
  ClearedDoor& operator=(ClearedDoor&&) noexcept = default;
  ClearedDoor(const ClearedDoor&) = delete;
  ClearedDoor& operator=(const ClearedDoor&) = delete;

  const Teaching& teaching() const { return teaching_; }
  const Origin& origin() const { return origin_; }
  int64_t entry() const { return entry_; }  // of the door in the log
  const Permit& permit() const { return permit_; }
  // Whether it may be asked at this moment: terms may begin to bind, and permission may be
  // withdrawn, while a run goes on. To be asked before every request.
  Result<void> still_open() const;

 private:
  friend class Clearance;
  ClearedDoor(const Clearance& clearance, Teaching teaching, Origin origin, int64_t entry,
              Permit permit)
      : clearance_(&clearance),
        teaching_(std::move(teaching)),
        origin_(std::move(origin)),
        entry_(entry),
        permit_(std::move(permit)) {}

  const Clearance* clearance_;
  Teaching teaching_;
  Origin origin_;
  int64_t entry_;
  Permit permit_;
};

// Leave to write a model out. Where the purpose says "distributed" all records and base weights
// were checked for publish_model, and duties() lists what the model owes; else it may stay in the
// house.
class ExportPermit {
 public:
  ExportPermit(ExportPermit&&) noexcept = default;
  ExportPermit& operator=(ExportPermit&&) noexcept = default;
  ExportPermit(const ExportPermit&) = delete;
  ExportPermit& operator=(const ExportPermit&) = delete;

  const Permit& permit() const { return permit_; }
  const std::vector<terms::OwedDuty>& duties() const { return permit_.duties; }
  bool distributed() const { return distributed_; }
  const std::string& model_id() const { return model_id_; }

 private:
  friend class Clearance;
  ExportPermit(Permit permit, bool distributed, std::string model_id)
      : permit_(std::move(permit)), distributed_(distributed), model_id_(std::move(model_id)) {}

  Permit permit_;
  bool distributed_;
  std::string model_id_;
};

// One record as a parent of others. Only a CurateView hands them out.
class Parent {
 public:
  const std::string& shard() const { return link_.shard; }
  int64_t row() const { return link_.row; }

 private:
  friend class CurateView;
  friend class DerivedWriter;
  Parent(ParentLink link, const Record* record, KeptLogprobs logprobs)
      : link_(std::move(link)), record_(record), logprobs_(std::move(logprobs)) {}
  ParentLink link_;
  const Record* record_;  // in the view, which outlives its writers
  KeptLogprobs logprobs_;
};

// One parent or more: there is no empty one.
class Parents {
 public:
  Parents(Parent first) { all_.push_back(std::move(first)); }  // NOLINT: implicit
  Parents& and_also(Parent next) {
    all_.push_back(std::move(next));
    return *this;
  }

 private:
  friend class DerivedWriter;
  std::vector<Parent> all_;
};

// What a derived record says itself; all that permission depends on is taken from its parents.
struct Derived {
  dialog::Messages messages{};
  std::string answer{};
  std::string split{};
};

class DerivedWriter;

// Sealed records for curation: they can be read, and what is written must name what it came from.
// Made by Clearance::curate, for the action "store".
class CurateView {
 public:
  CurateView(CurateView&&) noexcept = default;
  CurateView& operator=(CurateView&&) = delete;
  CurateView(const CurateView&) = delete;
  CurateView& operator=(const CurateView&) = delete;

  int64_t size() const { return static_cast<int64_t>(records_->size()); }
  const Record& operator[](int64_t row) const { return (*records_)[static_cast<size_t>(row)]; }
  Parent parent(int64_t row) const;
  // Records of the selection that are not here, because permission for them was withdrawn.
  int64_t withdrawn() const { return withdrawn_; }
  const Permit& permit() const { return permit_; }
  const std::string& digest() const { return digest_; }

 private:
  friend class Clearance;
  friend class DerivedWriter;
  CurateView(std::shared_ptr<const std::vector<Record>> records, std::vector<ParentLink> links,
             std::vector<KeptLogprobs> logprobs, Permit permit, std::string digest);
  std::shared_ptr<const std::vector<Record>> records_;
  std::vector<ParentLink> links_;
  std::vector<KeptLogprobs> logprobs_;
  Permit permit_;
  std::string digest_;
  int64_t withdrawn_ = 0;
};

// Writes derived records into sealed shards of their own. A record's terms, door, capture time,
// preference and features come from its parents (terms: the union), never from the caller.
class DerivedWriter {
 public:
  // The folder is made new by finish(); shards that were there are replaced.
  DerivedWriter(const CurateView& view, ledger::Ledger& ledger, SealOptions options,
                std::string step);
  ~DerivedWriter();
  DerivedWriter(const DerivedWriter&) = delete;
  DerivedWriter& operator=(const DerivedWriter&) = delete;

  // The record as it was, in a split, with its log-probabilities.
  void keep(const Parent& parent, const std::string& split);
  // A new text: it has no log-probabilities.
  void add(const Parents& parents, Derived derived);
  // Nothing is on disk or in the log before this.
  Result<SealReport> finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class Clearance {
 public:
  // `terms`: every version that is known now (newer ones may bind older records when they say so).
  // Versions that the log holds are added to them. `deciders`: whose signatures count, on
  // declarations and on readings of one's own. The ledger must outlive the clearance.
  Clearance(ledger::Ledger& ledger, terms::TermsSet terms, terms::Purpose purpose,
            base::Clock* clock = nullptr, terms::Deciders deciders = {});
  ~Clearance();
  Clearance(const Clearance&) = delete;
  Clearance& operator=(const Clearance&) = delete;

  // clear<TrainGenerative>({.folder = "OUT/curated", .split = "train", .path_label = "optimizer"})
  template <class ActionTag>
  Result<Cleared<ActionTag>> clear(const Selection& selection) {
    auto checked = check(selection, ActionTag::kAction);
    if (!checked) return checked.error();
    return Cleared<ActionTag>(std::move(checked->records), std::move(checked->logprobs),
                              std::move(checked->permit), std::move(checked->digest));
  }

  // The texts of cleared records, for what reads plain text. The texts stay alive with the result.
  enum class Part { messages, answers, all };
  template <class ActionTag>
  static terms::ClearedText<ActionTag> text(const Cleared<ActionTag>& cleared,
                                            Part part = Part::all) {
    return terms::ClearedText<ActionTag>(cleared.records_, texts_of(*cleared.records_, part));
  }

  // Of those of the records that `is_wanted`.
  template <class ActionTag>
  static terms::ClearedText<ActionTag> text(const Cleared<ActionTag>& cleared, Part part,
                                            const std::function<bool(const Record&)>& is_wanted) {
    return terms::ClearedText<ActionTag>(cleared.records_,
                                         texts_of(*cleared.records_, part, is_wanted));
  }

  // For curation, which needs the action "store". Records that permission was withdrawn for are
  // left out, so that what is curated after a withdrawal can be used.
  Result<CurateView> curate(const Selection& selection);

  // Base weights (a file or a folder) of the named model under these terms files.
  template <class ActionTag>
  Result<ClearedWeights<ActionTag>> clear_weights(const std::string& path, const std::string& model,
                                                  const std::vector<std::string>& terms_files) {
    auto checked = check_weights(path, model, terms_files, ActionTag::kAction);
    if (!checked) return checked.error();
    return ClearedWeights<ActionTag>(path, std::move(checked->digest), model,
                                     std::move(checked->permit));
  }

  // A teacher's address under these terms of its answers, which are judged as of now: for what it
  // says of texts that are given to it. Where the model will be distributed, they must permit that
  // too.
  template <class ActionTag>
  Result<ClearedDoor<ActionTag>> clear_door(const Teaching& teaching,
                                            const std::vector<std::string>& terms_files) {
    auto checked = check_door(teaching, terms_files, ActionTag::kAction);
    if (!checked) return checked.error();
    return ClearedDoor<ActionTag>(*this, teaching, std::move(checked->origin), checked->entry,
                                  std::move(checked->permit));
  }

  // Leave to write out the model that learnt from this selection.
  Result<ExportPermit> permit_export(const Selection& learnt_from);
  // The same for a model that started from base weights as well.
  template <class ActionTag>
  Result<ExportPermit> permit_export(const Selection& learnt_from,
                                     const ClearedWeights<ActionTag>& base,
                                     const std::vector<std::string>& base_terms_files) {
    if (purpose_.distributed) {
      auto weights =
          check_weights(base.path(), base.model(), base_terms_files, terms::Action::publish_model);
      if (!weights) return weights.error();
      return permit_export_with(learnt_from, std::move(weights->permit.duties));
    }
    return permit_export_with(learnt_from, {});
  }

  // Before anything starts: would records gathered now through this door be permitted for every
  // action of the purpose? Reads no record and logs nothing.
  terms::Verdict preview(const Origin& origin) const;
  terms::Verdict preview(const terms::Facts& facts) const;
  // Refuses where the log says that permission ended for what would be gathered now.
  Result<void> refuse_withdrawn(const terms::Facts& facts) const;
  // Names what curation would leave out of the selection because of withdrawals; "" for nothing.
  // Two equal answers are about the same records. Logs nothing, and reads no shard where the log
  // has no withdrawal.
  Result<std::string> withdrawn_of(const Selection& selection);
  // All versions that are known, with those of the log once something was asked.
  const terms::TermsSet& known_terms() const;
  // Of all that a run uses, together: duties of two of them may contradict each other. A refusal
  // where it is one.
  Result<void> preview_or_refuse(const std::vector<terms::Facts>& uses) const;

  // What this clearance did, as OUT/permission.json has it: purpose, verdict, terms with their
  // clauses, declarations word for word, checks, ledger. Earlier checks that the file holds stay,
  // but for those of the same path.
  Result<void> write_permission(const std::string& path) const;

 private:
  struct Checked {
    std::shared_ptr<const std::vector<Record>> records;
    std::vector<ParentLink> links;
    std::vector<KeptLogprobs> logprobs;  // one a record, or none
    Permit permit;
    std::string digest;
    int64_t withdrawn = 0;  // records left out
  };
  struct CheckedDoor {
    Origin origin;
    int64_t entry = -1;
    Permit permit;
  };
  enum class IfWithdrawn { refuse, leave_out };
  struct CheckedWeights {
    std::string digest;
    Permit permit;
  };
  Result<Checked> check(const Selection& selection, terms::Action action,
                        IfWithdrawn if_withdrawn = IfWithdrawn::refuse);
  // Writes what was decided into the log; the permit gets the entry's number.
  struct Selected {
    const std::string& path_label;
    const std::string& split;
    const std::string& digest;
    int64_t withdrawn = 0;
  };
  Result<void> log_verdict(Permit& permit, const Selected& selected, const Tally& tally);
  Result<CheckedWeights> check_weights(const std::string& path, const std::string& model,
                                       const std::vector<std::string>& terms_files,
                                       terms::Action action);
  template <class ActionTag>
  friend class ClearedDoor;
  Tally judge_door(const Origin& origin, terms::Action action) const;
  Result<CheckedDoor> check_door(const Teaching& teaching,
                                 const std::vector<std::string>& terms_files, terms::Action action);
  Result<void> still_open(const Origin& origin, terms::Action action) const;
  Result<ExportPermit> permit_export_with(const Selection& learnt_from,
                                          std::vector<terms::OwedDuty> duties);
  static std::vector<std::string_view> texts_of(
      const std::vector<Record>& records, Part part,
      const std::function<bool(const Record&)>& is_wanted = nullptr);

  struct Impl;
  terms::Purpose purpose_;
  std::unique_ptr<Impl> impl_;
};

template <class ActionTag>
Result<void> ClearedDoor<ActionTag>::still_open() const {
  return clearance_->still_open(origin_, ActionTag::kAction);
}

}  // namespace retort::corpus
