// Verdicts over records whose texts nobody asks for.
#include <fmt/core.h>

#include "corpus/clearance_internal.h"
#include "corpus/selection_columns_internal.h"
#include "corpus/verdicts_internal.h"

namespace retort::corpus {
namespace {

// Whether the log has a verdict over these very records: the first one was made by reading them.
Result<bool> was_checked(ledger::Ledger& ledger, const std::string& digest) {
  bool found = false;
  RETORT_TRY_VOID(ledger.for_each("verdict", [&](const ledger::Entry& entry) -> Result<void> {
    RETORT_TRY(const auto one, entry.body.string_at("digest", ""));
    found = found || one == digest;
    return {};
  }));
  return found;
}

}  // namespace

Result<std::optional<ByColumns>> Clearance::Impl::by_columns(const Selection& selection,
                                                             const terms::Purpose& purpose,
                                                             terms::Action action) {
  const std::optional<ByColumns> cannot_tell;
  if (withdrawn.names_records()) return cannot_tell;
  RETORT_TRY(const auto index, ShardIndex::load(ledger));
  RETORT_TRY(const auto digest, logged_digest(selection, index));
  if (!digest) return cannot_tell;
  RETORT_TRY(const bool is_known, was_checked(ledger, *digest));
  if (!is_known) return cannot_tell;
  Verdicts verdicts(judged_by, withdrawn, purpose, action, declarations);
  std::set<int64_t> moments = verdicts.moments();
  moments.merge(withdrawn.moments());
  RETORT_TRY(const auto columns, read_columns_of(selection, ledger, index, moments));
  if (!columns) return cannot_tell;

  ByColumns out;
  out.permit.action = action;
  out.digest = *digest;
  out.tally.add(purpose_verdict(purpose, action));
  std::map<std::string, UsedTerms> used_here;
  for (const auto& group : columns->groups) {
    out.tally.add_alike(verdicts.of(group.facts), group.records);
    count_terms(used_here, group.facts.terms, group.records);
    out.permit.records += group.records;
  }
  out.tally.hold_to_limits(declarations);
  if (!out.tally.permits()) return cannot_tell;
  note_terms(used_here);
  out.permit.decision = out.tally.decision();
  out.permit.duties = out.tally.duties();
  out.permit.shards = columns->shards;
  for (const auto& [id, counted] : used_here) out.permit.terms_ids.push_back(id);
  return std::optional(std::move(out));
}

Result<std::optional<std::string>> Clearance::Impl::withdrawn_by_columns(
    const Selection& selection, const terms::Purpose& purpose) const {
  const std::optional<std::string> cannot_tell;
  if (withdrawn.names_records()) return cannot_tell;
  RETORT_TRY(const auto index, ShardIndex::load(ledger));
  std::set<int64_t> moments = withdrawn.moments();
  for (const auto* one : terms.all()) {
    moments.insert(one->effective_ms);
    moments.insert(one->until_ms);
  }
  struct Place {
    const std::string* shard;  // in the index
    int64_t row;
    size_t group;
  };
  // Few stay behind, but which do is known only once their group is; so all are kept.
  std::vector<Place> places;
  RETORT_TRY(const auto columns,
             read_columns_of(selection, ledger, index, moments,
                             [&](const std::string& shard, int64_t row, size_t group) {
                               places.push_back({&shard, row, group});
                             }));
  if (!columns) return cannot_tell;
  std::vector<bool> goes;
  for (const auto& group : columns->groups) goes.push_back(!stays(group.facts, purpose));
  crypto::Sha256 digest;
  bool any = false;
  for (const auto& place : places) {
    if (!goes[place.group]) continue;
    digest.add(fmt::format("{}:{}\n", *place.shard, place.row));
    any = true;
  }
  return std::optional(any ? crypto::to_hex(digest.finish()) : std::string());
}

}  // namespace retort::corpus
