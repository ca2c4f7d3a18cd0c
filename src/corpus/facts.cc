#include "corpus/facts.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "corpus/dictionary_internal.h"
#include "corpus/shard_internal.h"
#include "terms/reading.h"

namespace retort::corpus {
namespace {

std::string label_of(const terms::Facts& facts) {
  if (facts.object == terms::Object::texts) return "texts by people";
  return fmt::format("answers of {} through {}{}",
                     facts.models.empty() ? "a model without a name" : facts.models[0],
                     facts.endpoint.empty() ? "no door" : facts.endpoint,
                     facts.plan.empty() ? "" : fmt::format(" (plan {})", facts.plan));
}

Result<terms::Facts> facts_through(ledger::Ledger& ledger,
                                   const std::vector<terms::Reference>& bound, int64_t door) {
  terms::Facts facts;
  facts.terms = bound;
  const bool outputs = std::any_of(bound.begin(), bound.end(), [](const auto& reference) {
    return reference.object != terms::Object::texts;
  });
  facts.object = outputs ? terms::Object::outputs : terms::Object::texts;
  if (door < 0) return facts;
  RETORT_TRY(const auto found, ledger.entry(door));
  RETORT_TRY(facts.endpoint, found.body.string_at("endpoint", ""));
  RETORT_TRY(facts.plan, found.body.string_at("plan", ""));
  RETORT_TRY(const auto model, found.body.string_at("model", ""));
  if (!model.empty()) facts.models.push_back(model);
  return facts;
}

std::vector<int64_t> numbers(const json::Value& body, const char* key) {
  std::vector<int64_t> out;
  const auto* list = body.find(key);
  if (list == nullptr || !list->is_array()) return out;
  for (const auto& item : list->as_array()) {
    if (item.is_int()) out.push_back(item.as_int());
  }
  return out;
}

void widen(LoggedUse& use, int64_t from_ms, int64_t to_ms, int64_t records) {
  use.facts.captured_ms = use.records == 0 ? from_ms : std::min(use.facts.captured_ms, from_ms);
  use.until_ms = std::max(use.until_ms, to_ms);
  use.records += records;
}

}  // namespace

Result<terms::TermsSet> logged_terms(ledger::Ledger& ledger, const terms::Deciders& deciders) {
  RETORT_TRY(auto set, CodeBook(ledger).logged_terms());
  set.for_each([&deciders](terms::Terms& one) { terms::check_signature(one, deciders); });
  return set;
}

Result<std::vector<LoggedUse>> uses_of_shards(ledger::Ledger& ledger,
                                              const std::vector<int64_t>& entries) {
  std::map<std::pair<int64_t, int64_t>, LoggedUse> uses;
  for (const int64_t entry : entries) {
    RETORT_TRY(const auto shard, ledger.entry(entry));
    RETORT_TRY(const auto from, shard.body.int_at("captured_from_ms", 0));
    RETORT_TRY(const auto to, shard.body.int_at("captured_to_ms", 0));
    RETORT_TRY(const auto records, shard.body.int_at("records", 0));
    auto doors = numbers(shard.body, "doors");
    if (doors.empty()) doors.push_back(-1);
    for (const int64_t set : numbers(shard.body, "terms_sets")) {
      RETORT_TRY(const auto bound, logged_references(ledger, set));
      for (const int64_t door : doors) {
        LoggedUse& use = uses[{set, door}];
        if (use.records == 0) {
          RETORT_TRY(use.facts, facts_through(ledger, bound, door));
          use.label = label_of(use.facts);
        }
        widen(use, from, to, records);
      }
    }
  }
  std::vector<LoggedUse> out;
  for (auto& [key, use] : uses) out.push_back(std::move(use));
  return out;
}

Result<std::vector<LoggedUse>> uses_of_record(ledger::Ledger& ledger, const std::string& shard,
                                              int64_t row) {
  RETORT_TRY(const auto opened, Shard::open(shard));
  RETORT_TRY(const auto index, ShardIndex::load(ledger));
  CodeBook codes(ledger);
  RETORT_TRY(const auto read, read_shard(opened, index, codes));
  if (row < 0 || row >= static_cast<int64_t>(read.records.size())) {
    return base::not_found(
        fmt::format("the shard has {} records; they count from 0", read.records.size()),
        fmt::format("{}:{}", shard, row));
  }
  std::vector<LoggedUse> out;
  for (auto& facts : facts_of(read.records[static_cast<size_t>(row)])) {
    LoggedUse use;
    use.label = label_of(facts);
    use.until_ms = facts.captured_ms;
    use.records = 1;
    use.facts = std::move(facts);
    out.push_back(std::move(use));
  }
  return out;
}

Result<terms::Purpose> purpose_from_json(const json::Value& value, const std::string& where) {
  terms::Purpose out;
  const auto* actions = value.find("actions");
  if (actions == nullptr || !actions->is_array()) {
    return base::bad_input("a purpose without actions", where);
  }
  for (const auto& item : actions->as_array()) {
    const auto action = item.is_string() ? terms::parse_action(item.as_string()) : std::nullopt;
    if (!action) return base::bad_input("a purpose with an unknown action", where);
    out.actions.push_back(*action);
  }
  RETORT_TRY(out.model_id, value.string_at("model_id", ""));
  const auto flag = [&value](const char* key) {
    const auto* found = value.find(key);
    return found != nullptr && found->is_bool() && found->as_bool();
  };
  out.distributed = flag("distributed");
  out.commercial = flag("commercial");
  if (value.find("competing") != nullptr) out.competing = flag("competing");
  return out;
}

}  // namespace retort::corpus
