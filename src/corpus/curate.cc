// Reading for curation, and writing derived records, which cannot be without parents.
#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "base/files.h"
#include "base/random.h"
#include "corpus/clearance.h"
#include "corpus/shard_internal.h"

namespace retort::corpus {
namespace {

void add_new(std::vector<Origin>& all, const Origin& origin) {
  if (std::find(all.begin(), all.end(), origin) == all.end()) all.push_back(origin);
}

std::vector<Origin> origins_of(const Record& record) {
  return record.origins.empty() ? std::vector<Origin>{origin_of(record)} : record.origins;
}

// A "no" of any parent stays; a "yes" only when all said it.
terms::Preference worse(terms::Preference a, terms::Preference b) {
  if (a == terms::Preference::no || b == terms::Preference::no) return terms::Preference::no;
  return a == b ? a : terms::Preference::absent;
}

// What permission depends on, from the parents.
Record merge(const std::vector<const Record*>& parents) {
  Record out = *parents[0];
  std::vector<Origin> origins = origins_of(out);
  for (const Record* parent : parents) {
    out.terms.insert(out.terms.end(), parent->terms.begin(), parent->terms.end());
    out.preference = worse(out.preference, parent->preference);
    out.features = static_cast<uint16_t>(out.features | parent->features);
    out.captured_ms = std::max(out.captured_ms, parent->captured_ms);
    for (const auto& origin : origins_of(*parent)) add_new(origins, origin);
  }
  out.terms = as_set(std::move(out.terms));
  // Several ancestors are judged one by one; a single one is the record itself.
  out.origins = origins.size() > 1 ? origins : std::vector<Origin>{};
  return out;
}

}  // namespace

CurateView::CurateView(std::shared_ptr<const std::vector<Record>> records,
                       std::vector<ParentLink> links, std::vector<KeptLogprobs> logprobs,
                       Permit permit, std::string digest)
    : records_(std::move(records)),
      links_(std::move(links)),
      logprobs_(std::move(logprobs)),
      permit_(std::move(permit)),
      digest_(std::move(digest)) {}

Parent CurateView::parent(int64_t row) const {
  RETORT_CHECK(row >= 0 && row < size(), "row {} of {}", row, size());
  const auto at = static_cast<size_t>(row);
  return Parent(links_[at], &(*records_)[at], logprobs_[at]);
}

Result<CurateView> Clearance::curate(const Selection& selection) {
  Selection with_logprobs = selection;
  with_logprobs.logprobs = true;
  auto checked = check(with_logprobs, terms::Action::store, IfWithdrawn::leave_out);
  if (!checked) return checked.error();
  CurateView view(std::move(checked->records), std::move(checked->links),
                  std::move(checked->logprobs), std::move(checked->permit),
                  std::move(checked->digest));
  view.withdrawn_ = checked->withdrawn;
  return view;
}

struct DerivedWriter::Impl {
  const CurateView& view;
  ledger::Ledger& ledger;
  SealOptions options;
  std::string step;
  std::vector<Record> records{};
  std::vector<KeptLogprobs> logprobs{};  // one a record

  void add(Record record, Kind kind, std::vector<ParentLink> links, KeptLogprobs kept) {
    record.logprob_tokens = kept.size();
    logprobs.push_back(std::move(kept));
    record.kind = kind;
    record.parents = std::move(links);
    record.key = record_key(record);
    base::secure_random(record.salt.data(), record.salt.size());
    records.push_back(std::move(record));
  }

  Result<SealReport> write(const std::string& folder) {
    SealReport report;
    CodeBook codes(ledger);
    SealOptions there = options;
    there.folder = folder;
    std::vector<Record> batch;
    std::vector<KeptLogprobs> kept;
    for (const auto& rows : batches_of(records, options.records_per_shard)) {
      batch.clear();
      kept.clear();
      for (const size_t row : rows) {
        batch.push_back(std::move(records[row]));
        kept.push_back(std::move(logprobs[row]));
      }
      RETORT_TRY(const auto written,
                 write_shard(batch, ledger, codes, there, {.source = step, .logprobs = kept}));
      report.records += static_cast<int64_t>(batch.size());
      report.shards.push_back(base::join(options.folder, base::base_name(written.path)));
    }
    return report;
  }
};

DerivedWriter::DerivedWriter(const CurateView& view, ledger::Ledger& ledger, SealOptions options,
                             std::string step)
    : impl_(new Impl{view, ledger, std::move(options), std::move(step)}) {}

DerivedWriter::~DerivedWriter() = default;

void DerivedWriter::keep(const Parent& parent, const std::string& split) {
  Record record = *parent.record_;
  record.split = split;
  impl_->add(std::move(record), Kind::derived, {parent.link_}, parent.logprobs_);
}

void DerivedWriter::add(const Parents& parents, Derived derived) {
  std::vector<const Record*> sources;
  std::vector<ParentLink> links;
  for (const auto& parent : parents.all_) {
    sources.push_back(parent.record_);
    if (std::find(links.begin(), links.end(), parent.link_) == links.end()) {
      links.push_back(parent.link_);
    }
  }
  RETORT_CHECK(links.size() <= kMaxParents, "{} parents", links.size());
  Record record = merge(sources);
  record.messages = std::move(derived.messages);
  record.answer = std::move(derived.answer);
  record.split = std::move(derived.split);
  const Kind kind = links.size() > 1 ? Kind::merged : Kind::derived;
  impl_->add(std::move(record), kind, std::move(links), {});
}

Result<SealReport> DerivedWriter::finish() {
  std::string folder = impl_->options.folder;
  while (folder.ends_with('/')) folder.pop_back();
  const std::string writing = folder + ".writing";
  RETORT_TRY_VOID(base::remove_all(writing));
  RETORT_TRY_VOID(base::make_directories(writing));
  RETORT_TRY(auto report, impl_->write(writing));
  RETORT_TRY_VOID(base::publish_directory(writing, folder));
  impl_->records.clear();
  impl_->logprobs.clear();
  return report;
}

}  // namespace retort::corpus
