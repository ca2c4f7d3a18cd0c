// The log's dictionaries, and the columns beside a shard.
#include <fmt/core.h>

#include <algorithm>

#include "corpus/bytes_internal.h"
#include "corpus/shard_internal.h"
#include "crypto/hash.h"

namespace retort::corpus {
namespace {

json::Value set_json(const std::vector<terms::Reference>& references) {
  json::Value items = json::Value::array();
  for (const auto& reference : references) {
    items.push(
        json::Value::object({{"id", reference.id}, {"object", terms::name(reference.object)}}));
  }
  return json::Value::object({{"terms", std::move(items)}});
}

}  // namespace

std::vector<terms::Reference> as_set(std::vector<terms::Reference> references) {
  const auto less = [](const terms::Reference& a, const terms::Reference& b) {
    return std::tie(a.id, a.object) < std::tie(b.id, b.object);
  };
  std::sort(references.begin(), references.end(), less);
  references.erase(std::unique(references.begin(), references.end()), references.end());
  return references;
}

Result<void> CodeBook::log_terms(const terms::TermsSet& terms) {
  for (const terms::Terms* one : terms.all()) {
    if (ledger_.find("terms", one->id)) continue;
    json::Value body = json::Value::object(
        {{"series", one->series}, {"version", one->version}, {"text", one->text}});
    if (!one->envelope.empty()) body.set("signature", one->envelope);
    RETORT_TRY_VOID(ledger_.append("terms", one->id, std::move(body)));
  }
  return {};
}

Result<terms::TermsSet> CodeBook::logged_terms() {
  terms::TermsSet out;
  RETORT_TRY_VOID(ledger_.for_each("terms", [&](const ledger::Entry& entry) -> Result<void> {
    const std::string where = fmt::format("{}: entry {}", ledger_.folder(), entry.index);
    RETORT_TRY(const auto text, entry.body.string_at("text"));
    RETORT_TRY(auto parsed, terms::parse_terms(text, where));
    if (parsed.id != entry.name) {
      return base::bad_input("terms in the log do not fit their id", where,
                             "the log was changed after it was written; restore it from a backup");
    }
    RETORT_TRY(parsed.envelope, entry.body.string_at("signature", ""));
    out.add(std::move(parsed));
    return {};
  }));
  return out;
}

Result<uint32_t> CodeBook::code(const std::string& kind, const json::Value& body, bool add) {
  const std::string name = crypto::sha256_hex(json::canonical(body));
  const auto known = codes_.find(kind + name);
  if (known != codes_.end()) return known->second;
  int64_t index = -1;
  const auto found = ledger_.find(kind, name);
  if (found) {
    index = found->index;
  } else if (found.error().code != ErrorCode::not_found || !add) {
    return found.error();
  } else {
    RETORT_TRY(index, ledger_.append(kind, name, body));
  }
  if (index > int64_t{UINT32_MAX}) return base::storage_error("the log is full", ledger_.folder());
  return codes_[kind + name] = static_cast<uint32_t>(index);
}

Result<uint32_t> CodeBook::terms_code(const std::vector<terms::Reference>& references, bool add) {
  if (last_terms_code_ && references == last_terms_) return *last_terms_code_;
  if (add) {
    for (const auto& reference : references) {
      if (ledger_.find("terms", reference.id)) continue;
      return base::bad_input(
          fmt::format("records name terms that are not known ({})", reference.id.substr(0, 16)), "",
          "name the terms file of that id in the run file, as it was when they were gathered");
    }
  }
  RETORT_TRY(const auto found, code("termset", set_json(as_set(references)), add));
  last_terms_ = references;
  last_terms_code_ = found;
  return found;
}

Result<uint32_t> CodeBook::door_code(const Door& door, const std::string& model, bool add) {
  if (last_door_code_ && door == last_door_ && model == last_model_) return *last_door_code_;
  const json::Value body = json::Value::object({{"provider", door.provider},
                                                {"endpoint", door.endpoint},
                                                {"plan", door.plan},
                                                {"model", model}});
  RETORT_TRY(const auto found, code("door", body, add));
  last_door_ = door;
  last_model_ = model;
  last_door_code_ = found;
  return found;
}

Result<LeafCodes> CodeBook::make(const Record& record) {
  LeafCodes codes;
  RETORT_TRY(codes.terms_set, terms_code(record.terms, true));
  RETORT_TRY(codes.door, door_code(record.door, record.model, true));
  return codes;
}

Result<LeafCodes> CodeBook::find(const Record& record) {
  LeafCodes codes;
  RETORT_TRY(codes.terms_set, terms_code(record.terms, false));
  RETORT_TRY(codes.door, door_code(record.door, record.model, false));
  return codes;
}

Result<std::vector<int64_t>> CodeBook::doors_of(const Record& record) {
  std::vector<int64_t> out;
  if (record.origins.empty()) {
    RETORT_TRY(const int64_t door, door_code(record.door, record.model, /*add=*/true));
    out.push_back(door);
  }
  for (const auto& origin : record.origins) {
    RETORT_TRY(const int64_t door, door_code(origin.door, origin.model, /*add=*/true));
    out.push_back(door);
  }
  return out;
}

crypto::Digest leaf_of(const Record& record, const LeafCodes& codes) {
  return ledger::leaf_hash(leaf_bytes(record, codes));
}

std::string column_of(const crypto::Digest& leaf, uint16_t features) {
  std::string out;
  out.reserve(kColumnBytes);
  out += crypto::as_bytes(leaf);
  put(out, 0, 2);
  put(out, features, 2);
  return out;
}

std::string columns_of(std::span<const Record> records, std::span<const crypto::Digest> leaves) {
  std::string out;
  out.reserve(records.size() * kColumnBytes);
  for (size_t i = 0; i < records.size(); ++i) out += column_of(leaves[i], records[i].features);
  return out;
}

Result<ShardIndex> ShardIndex::load(ledger::Ledger& ledger) {
  ShardIndex index;
  RETORT_TRY_VOID(ledger.for_each("shard", [&](const ledger::Entry& entry) -> Result<void> {
    ShardEntry one;
    one.digest = entry.name;
    one.file = entry.name;
    one.leaf = entry.index;
    one.time_ms = entry.time_ms;
    RETORT_TRY(one.columns, entry.body.string_at("columns"));
    RETORT_TRY(one.logprobs, entry.body.string_at("logprobs", ""));
    RETORT_TRY(one.root, entry.body.string_at("root"));
    RETORT_TRY(one.records, entry.body.int_at("records"));
    RETORT_TRY(one.source, entry.body.string_at("source", ""));
    RETORT_TRY(one.batch, entry.body.string_at("batch", ""));
    const auto* sets = entry.body.find("terms_sets");
    if (sets != nullptr && sets->is_array() && !sets->as_array().empty() &&
        sets->as_array().front().is_int()) {
      one.terms_set = sets->as_array().front().as_int();
    }
    const std::string name = one.digest.substr(0, kNameDigits);
    if (!one.batch.empty()) index.batches_[one.batch] = name;
    index.by_name_[name] = std::move(one);
    return {};
  }));
  RETORT_TRY_VOID(ledger.for_each("erasure", [&](const ledger::Entry& entry) -> Result<void> {
    if (auto added = index.add_erasure(entry); !added) {
      return added.error().at(fmt::format("entry {} of the log", entry.index));
    }
    return {};
  }));
  return index;
}

// An erasure that cannot be read must not pass for none.
Result<void> ShardIndex::add_erasure(const ledger::Entry& entry) {
  RETORT_TRY(const auto schema, entry.body.string_at("schema"));
  if (schema != kErasureSchema) {
    return base::bad_input("an erasure of the form " + schema + " is not known", "",
                           "a newer program wrote it; use that one");
  }
  RETORT_TRY(const auto shard, entry.body.string_at("shard"));
  RETORT_TRY(const auto row, entry.body.int_at("index"));
  ErasedRow erased;
  RETORT_TRY(erased.leaf, entry.body.string_at("leaf"));
  erased.key = entry.name.substr(0, entry.name.find('@'));
  const auto found = by_name_.find(shard.substr(0, kNameDigits));
  if (found == by_name_.end() || found->second.digest != shard) {
    return base::bad_input("a record was erased from a shard that is not in the log", shard);
  }
  RETORT_TRY(found->second.file, entry.body.string_at("file"));
  RETORT_TRY(found->second.logprobs, entry.body.string_at("logprobs", ""));
  found->second.erased[row] = std::move(erased);
  return {};
}

const ShardEntry* ShardIndex::by_name(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &found->second;
}

const ShardEntry* ShardIndex::by_digest(const std::string& digest) const {
  const auto* found = by_name(digest.substr(0, kNameDigits));
  return found != nullptr && found->digest == digest ? found : nullptr;
}

const ShardEntry* ShardIndex::by_batch(const std::string& batch) const {
  const auto found = batches_.find(batch);
  return found == batches_.end() ? nullptr : by_name(found->second);
}

}  // namespace retort::corpus
