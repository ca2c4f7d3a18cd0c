#include "corpus/clearance.h"

#include <fmt/core.h>

#include <algorithm>

#include "corpus/clearance_internal.h"
#include "terms/reading.h"

namespace retort::corpus {

Clearance::Clearance(ledger::Ledger& ledger, terms::TermsSet terms, terms::Purpose purpose,
                     base::Clock* clock, terms::Deciders deciders)
    : purpose_(std::move(purpose)),
      impl_(new Impl{ledger, std::move(terms), clock != nullptr ? clock : &base::system_clock(),
                     std::move(deciders)}) {}

Clearance::~Clearance() = default;

Result<void> Clearance::Impl::read_log() {
  RETORT_TRY(const auto known, codes.logged_terms());
  for (const auto* one : known.all()) {
    if (terms.find(one->id) == nullptr) terms.add(*one);
  }
  terms.for_each([this](terms::Terms& one) { terms::check_signature(one, deciders); });
  RETORT_TRY(logged, read_declarations(ledger, deciders, clock->wall_ms()));
  declarations.clear();
  for (const auto& one : logged) declarations.push_back(one.declaration);
  RETORT_TRY(withdrawn, Withdrawn::load(ledger, terms, logged));
  judged_by = withdrawn.judged_by(terms);
  return {};
}

terms::Verdict Clearance::Impl::judge(const terms::Facts& facts, const terms::Purpose& purpose,
                                      terms::Action action) const {
  terms::Verdict verdict =
      terms::evaluate(withdrawn.corrected(facts), judged_by, purpose, action, declarations);
  return terms::meet(std::move(verdict), terms::denied_for(withdrawn.against(facts, action)));
}

Result<void> Clearance::Impl::ready() {
  if (!is_ready) RETORT_TRY_VOID(ledger.verify());
  RETORT_TRY_VOID(read_log());
  if (!is_ready) RETORT_TRY_VOID(codes.log_terms(terms));
  is_ready = true;
  return {};
}

// As with terms: several checks may read the same records.
void Clearance::Impl::note_declarations(const std::map<std::string, int64_t>& in_one_check) {
  for (const auto& [id, records] : in_one_check) relied[id] = std::max(relied[id], records);
}

// Several checks may read the same records, so the largest count stands.
void Clearance::Impl::note_terms(const std::map<std::string, UsedTerms>& in_one_check) {
  for (const auto& [id, counted] : in_one_check) {
    auto& one = used[id];
    one.records = std::max(one.records, counted.records);
    one.objects.insert(counted.objects.begin(), counted.objects.end());
  }
}

void Clearance::Impl::note_terms_of_no_record(const std::vector<terms::Reference>& references) {
  std::map<std::string, UsedTerms> in_one_check;
  count_terms(in_one_check, references);
  for (auto& [id, counted] : in_one_check) counted.records = 0;
  note_terms(in_one_check);
}

Result<terms::TermsSet> Clearance::Impl::take_terms(const std::vector<std::string>& files) {
  RETORT_TRY(auto set, terms::load_terms_set(files));
  for (const auto* one : set.all()) terms.add(*one);
  is_ready = false;  // the new ones have to be logged
  RETORT_TRY_VOID(ready());
  return set;
}

void count_terms(std::map<std::string, UsedTerms>& used,
                 const std::vector<terms::Reference>& references, int64_t records) {
  for (const auto& reference : references) {
    auto& one = used[reference.id];
    one.records += records;
    one.objects.insert(reference.object);
  }
}

std::vector<std::string_view> Clearance::texts_of(
    const std::vector<Record>& records, Part part,
    const std::function<bool(const Record&)>& is_wanted) {
  std::vector<std::string_view> texts;
  for (const auto& record : records) {
    if (is_wanted && !is_wanted(record)) continue;
    if (part != Part::answers) {
      for (const auto& message : record.messages) texts.emplace_back(message.content);
    }
    if (part != Part::messages) texts.emplace_back(record.answer);
  }
  return texts;
}

Result<ExportPermit> Clearance::permit_export(const Selection& learnt_from) {
  return permit_export_with(learnt_from, {});
}

// In the house the model may be where its records may be learnt from; out of it, the terms must
// permit to publish what learnt from them, and no two duties may contradict each other.
Result<ExportPermit> Clearance::permit_export_with(const Selection& learnt_from,
                                                   std::vector<terms::OwedDuty> duties) {
  const auto action =
      purpose_.distributed ? terms::Action::publish_model : terms::Action::train_generative;
  // Its contents were checked when it was learnt from; who changed them since hears of it here.
  RETORT_TRY_VOID(impl_->ready());
  RETORT_TRY(auto by_columns, impl_->by_columns(learnt_from, purpose_, action));
  Checked checked;
  if (by_columns) {
    checked.permit = std::move(by_columns->permit);
    checked.digest = std::move(by_columns->digest);
    RETORT_TRY_VOID(log_verdict(checked.permit,
                                {learnt_from.path_label, learnt_from.split, checked.digest},
                                by_columns->tally));
  } else {
    RETORT_TRY(checked, check(learnt_from, action));
  }
  terms::Verdict of_records;
  of_records.decision = checked.permit.decision;
  of_records.duties = std::move(checked.permit.duties);
  terms::Verdict of_weights;
  of_weights.duties = std::move(duties);
  terms::Verdict both = terms::meet(std::move(of_records), of_weights);
  checked.permit.decision = both.decision;
  checked.permit.duties = both.duties;
  if (!both.permits()) {
    Tally tally;
    tally.add(both);
    RETORT_TRY_VOID(log_verdict(
        checked.permit, {learnt_from.path_label, learnt_from.split, checked.digest}, tally));
    return tally.error(action, 0);
  }
  return ExportPermit(std::move(checked.permit), purpose_.distributed, purpose_.model_id);
}

terms::Verdict Clearance::preview(const Origin& origin) const {
  return preview(facts_of_origin(origin));
}

bool asks_about(terms::Object object, terms::Action action) {
  return object != terms::Object::weights || action == terms::Action::train_generative ||
         action == terms::Action::publish_model;
}

const terms::TermsSet& Clearance::known_terms() const {
  return impl_->terms;
}

terms::Verdict Clearance::preview(const terms::Facts& facts) const {
  terms::Verdict all;
  if (const auto added = impl_->read_log(); !added) {
    terms::Finding finding;
    finding.reason = "the log cannot be read: " + added.error().text();
    all.findings.push_back(std::move(finding));
    all.decision = terms::Decision::deny;
  }
  if (purpose_.actions.empty()) {
    all = terms::meet(std::move(all), purpose_verdict(purpose_, terms::Action::train_generative));
  }
  for (const auto action : purpose_.actions) {
    if (!asks_about(facts.object, action)) continue;
    all = terms::meet(std::move(all), impl_->judge(facts, purpose_, action));
  }
  return all;
}

Result<void> Clearance::refuse_withdrawn(const terms::Facts& facts) const {
  RETORT_TRY_VOID(impl_->read_log());
  const auto findings = impl_->withdrawn.against(facts, terms::Action::store);
  if (findings.empty()) return {};
  return Error{ErrorCode::refused_by_terms,
               "nothing more may be gathered here: " + findings[0].reason, facts.endpoint,
               "ask another teacher, or under the terms that hold now"};
}

Result<void> Clearance::preview_or_refuse(const std::vector<terms::Facts>& uses) const {
  terms::Verdict verdict;
  for (const auto& facts : uses) verdict = terms::meet(std::move(verdict), preview(facts));
  if (verdict.permits()) return {};
  Tally tally;
  tally.add(verdict);
  terms::Action worst = terms::Action::store;
  for (const auto& finding : verdict.findings) {
    if (finding.decision < terms::Decision::permit_with_duties) worst = finding.action;
  }
  return tally.error(worst, 0);
}

}  // namespace retort::corpus
