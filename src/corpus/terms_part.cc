#include "corpus/terms_part.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "corpus/dictionary_internal.h"
#include "corpus/shard_internal.h"

namespace retort::corpus {
namespace {

char firmness(const terms::Terms* terms) {
  const std::string mode = terms == nullptr ? "" : terms->revocation;
  if (mode == "irrevocable") return '0';
  if (mode == "on-breach") return '1';
  if (mode == "prospective") return '2';
  return '3';
}

}  // namespace

TermsPart terms_part(const Record& record, const terms::TermsSet& known) {
  std::set<std::string> ids;
  for (const auto& reference : record.terms) ids.insert(reference.id);
  TermsPart part{.order = "0", .ids = {ids.begin(), ids.end()}, .label = {}};
  if (ids.empty()) part.order = "3";
  part.order += fmt::format("-{:06}", part.ids.size());
  for (const std::string& id : part.ids) {
    const terms::Terms* terms = known.find(id);
    part.order[0] = std::max(part.order[0], firmness(terms));
    part.order += " " + id;
    part.label +=
        (part.label.empty() ? "" : " + ") + (terms == nullptr ? id.substr(0, 12) : terms->label());
  }
  return part;
}

Result<std::vector<PartShards>> shards_by_part(ledger::Ledger& ledger, const std::string& folder,
                                               const terms::TermsSet& known) {
  RETORT_TRY(const auto shards, list_shards(folder));
  RETORT_TRY(const auto index, ShardIndex::load(ledger));
  std::map<std::string, PartShards> parts;
  for (const auto& shard : shards) {
    const auto* entry = index.by_name(shard_name(shard.path()));
    if (entry == nullptr) {
      return base::bad_input("this shard is not in the log", shard.path(), kRestore);
    }
    Record one;
    RETORT_TRY(one.terms, logged_references(ledger, entry->terms_set));
    TermsPart part = terms_part(one, known);
    auto& its = parts[part.order];
    its.part = std::move(part);
    its.shards.push_back(entry->digest);
  }
  std::vector<PartShards> out;
  for (auto& [order, part] : parts) out.push_back(std::move(part));
  return out;
}

}  // namespace retort::corpus
