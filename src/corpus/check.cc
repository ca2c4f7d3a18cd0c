// The check itself: bytes, log, terms; the verdict into the log; and only then the records.
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include "base/files.h"
#include "corpus/clearance_internal.h"
#include "corpus/selection_columns_internal.h"
#include "corpus/verdicts_internal.h"
#include "crypto/hash.h"

namespace retort::corpus {
namespace {

constexpr size_t kShardsLogged = 256;  // more are named by the digest alone
constexpr size_t kTermsLogged = 256;

struct Gathered {
  std::vector<Record> records;
  std::vector<ParentLink> links;
  std::vector<KeptLogprobs> logprobs;  // where the selection asks for them
  std::vector<std::string> shards;
  std::string digest;
};

// A record cannot be younger than the entry that says it was sealed, nor come from nowhere.
Result<void> check_record(const Record& record, const ReadShard& shard, const ShardIndex& index,
                          const std::string& where) {
  RETORT_TRY_VOID(check_captured(record.captured_ms, shard.entry, where));
  for (const auto& parent : record.parents) {
    if (index.by_digest(parent.shard) != nullptr) continue;
    return base::bad_input("a record has a parent in a shard that is not in the log", where);
  }
  return {};
}

Result<Gathered> gather(const Selection& selection, ledger::Ledger& ledger, CodeBook& codes) {
  RETORT_TRY(const auto shards, list_selected(selection));
  RETORT_TRY(const auto index, ShardIndex::load(ledger));
  Gathered out;
  SelectionDigest digest(selection);
  for (const auto& shard : shards) {
    RETORT_TRY(auto read, read_shard(shard, index, codes));
    digest.add(read.entry);
    out.shards.push_back(read.entry.digest);
    for (size_t row = 0; row < read.records.size(); ++row) {
      if (read.entry.erased.contains(static_cast<int64_t>(row))) continue;
      Record& record = read.records[row];
      RETORT_TRY_VOID(
          check_record(record, read, index, fmt::format("{}: record {}", shard.path(), row)));
      if (!selection.split.empty() && record.split != selection.split) continue;
      out.links.push_back(
          {read.entry.digest, static_cast<int64_t>(row), crypto::to_hex(read.leaves[row])});
      out.records.push_back(std::move(record));
      if (selection.logprobs) out.logprobs.push_back(std::move(read.logprobs[row]));
    }
  }
  out.digest = digest.finish();
  return out;
}

// Keeps the rows that `stays` is true for; returns how many went.
int64_t keep_rows(Gathered& gathered, const std::function<bool(const Record&)>& stays) {
  Gathered kept;
  for (size_t row = 0; row < gathered.records.size(); ++row) {
    if (!stays(gathered.records[row])) continue;
    kept.records.push_back(std::move(gathered.records[row]));
    kept.links.push_back(std::move(gathered.links[row]));
    if (!gathered.logprobs.empty()) kept.logprobs.push_back(std::move(gathered.logprobs[row]));
  }
  const int64_t gone = std::ssize(gathered.records) - std::ssize(kept.records);
  gathered.records = std::move(kept.records);
  gathered.links = std::move(kept.links);
  gathered.logprobs = std::move(kept.logprobs);
  return gone;
}

json::Value list(const std::vector<std::string>& texts, size_t most) {
  json::Value out = json::Value::array();
  for (size_t i = 0; i < std::min(texts.size(), most); ++i) out.push(texts[i]);
  return out;
}

// The SHA-256 of a file, or over the names and digests of a folder's files.
Result<std::string> digest_of_weights(const std::string& path) {
  if (!base::exists(path)) return base::not_found("there are no such weights", path);
  if (!base::is_directory(path)) return crypto::sha256_file_hex(path);
  std::vector<std::string> files;
  std::error_code code;
  for (std::filesystem::recursive_directory_iterator it(path, code), end; !code && it != end;
       it.increment(code)) {
    if (!it->is_directory(code)) files.push_back(it->path().lexically_relative(path).string());
  }
  if (code) {
    errno = code.value();
    return base::errno_error("list", path);
  }
  std::sort(files.begin(), files.end());
  crypto::Sha256 digest;
  for (const auto& file : files) {
    RETORT_TRY(const auto one, crypto::sha256_file_hex(base::join(path, file)));
    digest.add(file + '\0' + one + '\n');
  }
  return crypto::to_hex(digest.finish());
}

}  // namespace

Result<Clearance::Checked> Clearance::check(const Selection& selection, terms::Action action,
                                            IfWithdrawn if_withdrawn) {
  RETORT_TRY_VOID(impl_->ready());
  RETORT_TRY(auto gathered, gather(selection, impl_->ledger, impl_->codes));
  const int64_t left_out =
      if_withdrawn == IfWithdrawn::refuse ? 0 : keep_rows(gathered, [&](const Record& record) {
        return impl_->stays(record, purpose_);
      });
  Tally tally;
  tally.add(purpose_verdict(purpose_, action));
  Verdicts verdicts(impl_->judged_by, impl_->withdrawn, purpose_, action, impl_->declarations);
  std::map<std::string, UsedTerms> used;
  for (const auto& record : gathered.records) {
    tally.add(verdicts.of(record), record.key);
    count_terms(used, record.terms);
  }
  impl_->note_terms(used);
  tally.hold_to_limits(impl_->declarations);
  Checked out;
  out.permit = {.action = action,
                .decision = tally.decision(),
                .duties = tally.duties(),
                .records = static_cast<int64_t>(gathered.records.size()),
                .leaf = -1,
                .shards = gathered.shards,
                .terms_ids = {}};
  for (const auto& [id, counted] : used) out.permit.terms_ids.push_back(id);
  out.withdrawn = left_out;
  RETORT_TRY_VOID(log_verdict(
      out.permit, {selection.path_label, selection.split, gathered.digest, left_out}, tally));
  if (!tally.permits()) return tally.error(action, out.permit.records);
  out.records = std::make_shared<const std::vector<Record>>(std::move(gathered.records));
  out.links = std::move(gathered.links);
  out.logprobs = std::move(gathered.logprobs);
  out.digest = std::move(gathered.digest);
  return out;
}

Result<std::string> Clearance::withdrawn_of(const Selection& selection) {
  RETORT_TRY_VOID(impl_->read_log());
  if (impl_->withdrawn.empty()) return std::string();
  RETORT_TRY(auto by_columns, impl_->withdrawn_by_columns(selection, purpose_));
  if (by_columns) return std::move(*by_columns);
  RETORT_TRY(const auto gathered, gather(selection, impl_->ledger, impl_->codes));
  crypto::Sha256 digest;
  bool any = false;
  for (size_t row = 0; row < gathered.records.size(); ++row) {
    if (impl_->stays(gathered.records[row], purpose_)) continue;
    digest.add(fmt::format("{}:{}\n", gathered.links[row].shard, gathered.links[row].row));
    any = true;
  }
  return any ? crypto::to_hex(digest.finish()) : std::string();
}

// A record that was withdrawn, or whose reading or declaration was and which is not permitted
// without it, is of no use to any stage.
bool Clearance::Impl::stays(const Record& record, const terms::Purpose& purpose) const {
  if (!withdrawn.against(record, terms::Action::store).empty()) return false;
  if (!withdrawn.concerns(record)) return true;
  return std::all_of(purpose.actions.begin(), purpose.actions.end(), [&](terms::Action action) {
    terms::Verdict all;
    for (const auto& facts : facts_of(record)) {
      all = terms::meet(std::move(all), judge(facts, purpose, action));
    }
    return all.permits();
  });
}

Result<void> Clearance::log_verdict(Permit& permit, const Selected& selected, const Tally& tally) {
  json::Value body = json::Value::object({{"schema", "retort.verdict/1"},
                                          {"path", selected.path_label},
                                          {"action", terms::name(permit.action)},
                                          {"decision", terms::name(permit.decision)},
                                          {"records", permit.records},
                                          {"refused", tally.refused()},
                                          {"split", selected.split},
                                          {"digest", selected.digest},
                                          {"shards", list(permit.shards, kShardsLogged)},
                                          {"terms", list(permit.terms_ids, kTermsLogged)},
                                          {"purpose", purpose_json(purpose_)},
                                          {"findings", tally.to_json()}});
  if (selected.withdrawn > 0) body.set("withdrawn", selected.withdrawn);
  const auto declared = tally.declared();
  if (!declared.empty()) body.set("declarations", declared_json(declared));
  permit.declarations.clear();
  for (const auto& [id, records] : declared) permit.declarations.push_back(id);
  impl_->note_declarations(declared);
  RETORT_TRY(permit.leaf, impl_->ledger.append("verdict", "", std::move(body)));
  impl_->checks.push_back({.path = selected.path_label,
                           .action = permit.action,
                           .decision = permit.decision,
                           .records = permit.records,
                           .refused = tally.refused(),
                           .leaf = permit.leaf,
                           .findings = tally.to_json()});
  return {};
}

Result<Clearance::CheckedWeights> Clearance::check_weights(
    const std::string& path, const std::string& model, const std::vector<std::string>& terms_files,
    terms::Action action) {
  RETORT_TRY(const auto set, impl_->take_terms(terms_files));
  CheckedWeights out;
  RETORT_TRY(out.digest, digest_of_weights(path));

  terms::Facts facts;
  facts.object = terms::Object::weights;
  if (!model.empty()) facts.models.push_back(model);
  facts.captured_ms = impl_->clock->wall_ms();
  // Of weights that the log knows already it is known how long they have been here.
  const auto known = impl_->ledger.find("weights", out.digest);
  for (const auto* one : set.all()) facts.terms.push_back({one->id, terms::Object::weights});
  impl_->note_terms_of_no_record(facts.terms);
  Tally tally;
  tally.add(terms::evaluate(impl_->withdrawn.corrected(facts), impl_->judged_by, purpose_, action,
                            impl_->declarations));
  if (known) facts.captured_ms = std::min(facts.captured_ms, known->time_ms);
  tally.add(terms::denied_for(impl_->withdrawn.against(facts, action)));

  out.permit = {.action = action,
                .decision = tally.decision(),
                .duties = tally.duties(),
                .records = 0,
                .leaf = -1,
                .shards = {},
                .terms_ids = {}};
  for (const auto& reference : facts.terms) out.permit.terms_ids.push_back(reference.id);
  RETORT_TRY_VOID(
      impl_->ledger.append("weights", out.digest, json::Value::object({{"model", model}})));
  RETORT_TRY_VOID(log_verdict(out.permit, {"weights of " + model, "", out.digest}, tally));
  if (!tally.permits()) return tally.error(action, 0).at(path);
  return out;
}

}  // namespace retort::corpus
