// Reading the log's entries into the graph. Edges point the way that taint goes.
#include <fmt/core.h>

#include <algorithm>

#include "lineage/graph_internal.h"
#include "lineage/read_internal.h"

namespace retort::lineage {
namespace {

constexpr const char* kShardSchema = "retort.shard/1";

// "DIGEST@RUN", the name of a model whose bytes came of several runs, names these bytes too.
std::string digest_of(const std::string& model_name) {
  return model_name.substr(0, model_name.find('@'));
}

std::string door_key(const corpus::Door& door, const std::string& model) {
  return door.provider + '\n' + door.endpoint + '\n' + door.plan + '\n' + model;
}

bool is_derived(const std::string& source) {
  return source != "collect" && source != "import";
}

}  // namespace

NodeId Graph::make(Node kind, int64_t entry) {
  places_.push_back({.kind = kind, .entry = entry, .records = 0, .unknown = false, .next = {}});
  return static_cast<NodeId>(places_.size() - 1);
}

NodeId Graph::of_entry(Node kind, int64_t entry) {
  const auto found = entries_.find(entry);
  if (found != entries_.end()) return found->second;
  const NodeId id = make(kind, entry);
  entries_[entry] = id;
  return id;
}

NodeId Graph::of_text(Node kind, const std::string& text) {
  const auto found = texts_.find({kind, text});
  if (found != texts_.end()) return found->second;
  const NodeId id = make(kind, -1);
  texts_[{kind, text}] = id;
  if (kind == Node::terms) terms_names_.emplace(text, id);
  if (kind == Node::bytes) weights_names_.emplace(text, id);
  return id;
}

NodeId Graph::records_of_shard(int64_t entry) const {
  const auto found = entries_.find(entry);
  if (found == entries_.end() || places_[found->second].kind != Node::records) return kNone;
  return found->second;
}

NodeId Graph::of_run(int64_t entry) const {
  const auto found = entries_.find(entry);
  if (found == entries_.end() || places_[found->second].kind != Node::run) return kNone;
  return found->second;
}

NodeId Graph::records_named(const std::string& digest) const {
  const auto found = shard_names_.find(digest);
  return found == shard_names_.end() ? kNone : found->second;
}

Result<void> Graph::add(const ledger::Entry& entry) {
  if (entry.kind == "terms") return add_terms(entry);
  if (entry.kind == "termset") return add_termset(entry);
  if (entry.kind == "door") return add_door(entry);
  if (entry.kind == "declaration") return add_declaration(entry);
  if (entry.kind == "shard") return add_shard(entry);
  if (entry.kind == "run") return add_run(entry);
  if (entry.kind == "model") return add_model(entry);
  if (entry.kind == "served") return add_served(entry);
  if (entry.kind == "erasure") return add_erasure(entry);
  if (entry.kind == "weights") of_text(Node::bytes, entry.name);
  return {};
}

Result<void> Graph::add_terms(const ledger::Entry& entry) {
  const NodeId id = of_text(Node::terms, entry.name);
  places_[id].entry = entry.index;
  RETORT_TRY(const auto series, entry.body.string_at("series", ""));
  if (!series.empty()) series_names_.emplace(series, id);
  return {};
}

Result<void> Graph::add_termset(const ledger::Entry& entry) {
  const NodeId set = of_entry(Node::termset, entry.index);
  return for_each_of(entry.body, "terms", [&](const json::Value& item) -> Result<void> {
    RETORT_TRY(const auto id, item.string_at("id"));
    edge(of_text(Node::terms, id), set);
    return {};
  });
}

Result<void> Graph::add_door(const ledger::Entry& entry) {
  corpus::Door door;
  RETORT_TRY(door.provider, entry.body.string_at("provider", ""));
  RETORT_TRY(door.endpoint, entry.body.string_at("endpoint", ""));
  RETORT_TRY(door.plan, entry.body.string_at("plan", ""));
  RETORT_TRY(const auto model, entry.body.string_at("model", ""));
  const std::string key = door_key(door, model);
  const auto known = door_places_.find(key);
  NodeId id = 0;
  if (known != door_places_.end()) {
    id = known->second;
    places_[id].entry = entry.index;
    entries_[entry.index] = id;
  } else {
    id = of_entry(Node::door, entry.index);
    door_places_[key] = id;
  }
  door_names_.emplace(entry.name, id);
  if (!door.endpoint.empty()) door_names_.emplace(door.endpoint, id);
  if (!door.provider.empty()) door_names_.emplace(door.provider, id);
  return {};
}

Result<void> Graph::add_declaration(const ledger::Entry& entry) {
  const NodeId declaration = of_entry(Node::declaration, entry.index);
  RETORT_TRY(const auto id, entry.body.string_at("id"));
  declaration_names_.emplace(id, declaration);
  declaration_names_.emplace(entry.name, declaration);
  return {};
}

Result<void> Graph::add_shard(const ledger::Entry& entry) {
  RETORT_TRY_VOID(check_schema(entry.body, kShardSchema));
  const NodeId shard = make(Node::shard, entry.index);
  const NodeId records = make(Node::records, entry.index);
  entries_[entry.index] = records;
  RETORT_TRY(places_[shard].records, entry.body.int_at("records"));
  edge(records, shard);
  shard_names_.emplace(entry.name, records);
  digests_[records] = entry.name;
  RETORT_TRY(const auto sets, integers_at(entry.body, "terms_sets"));
  for (const int64_t set : sets) edge(of_entry(Node::termset, set), shard);
  RETORT_TRY(const auto source, entry.body.string_at("source", ""));
  if (entry.body.find("parents") != nullptr) {
    RETORT_TRY(const auto parents, integers_at(entry.body, "parents"));
    for (const int64_t parent : parents) {
      const NodeId from = records_of_shard(parent);
      if (from == kNone) return base::bad_input("a shard was made from one that is not there");
      edge(from, records);
    }
  } else if (is_derived(source)) {
    places_[records].unknown = true;
    without_parents_.push_back(records);
  }
  if (entry.body.find("doors") == nullptr) {
    without_doors_.push_back(shard);
    return {};
  }
  RETORT_TRY(const auto doors, integers_at(entry.body, "doors"));
  for (const int64_t door : doors) edge(of_entry(Node::door, door), shard);
  return {};
}

void Graph::add_weights_used(NodeId run, const WeightsUsed& weights) {
  edge(of_text(Node::bytes, weights.digest), run);
  for (const auto& file : weights.files) {
    if (file.sha256 != weights.digest) edge(of_text(Node::bytes, file.sha256), run);
  }
  for (const auto& id : weights.terms) edge(of_text(Node::terms, id), run);
}

Result<void> Graph::add_run(const ledger::Entry& entry) {
  RETORT_TRY(const auto manifest, run_from_entry(entry));
  const NodeId run = of_entry(Node::run, entry.index);
  splits_[run] = manifest.split;
  int64_t told_terms = 0;
  for (const auto& share : manifest.by_terms) {
    if (share.records <= 0) continue;
    told_terms += share.records;
    for (const auto& id : share.terms) edge(of_text(Node::terms, id), run);
  }
  int64_t told_doors = 0;
  for (const auto& share : manifest.by_door) {
    if (share.records <= 0) continue;
    told_doors += share.records;
    edge(of_entry(Node::door, share.door), run);
  }
  // The shares are exact: a shard may be listed of which no record was in the split. A manifest
  // that does not tell them for all its records learnt from whatever it lists.
  const bool told_all = told_terms >= manifest.records && told_doors >= manifest.records;
  for (const int64_t shard : manifest.shards) {
    const NodeId records = records_of_shard(shard);
    if (records == kNone) return base::bad_input("a run lists a shard that is not there");
    edge(records, run);
    if (!told_all) edge(shard_of(records), run);
  }
  for (const int64_t declaration : manifest.declarations) {
    edge(of_entry(Node::declaration, declaration), run);
  }
  if (manifest.base) add_weights_used(run, *manifest.base);
  for (const auto& teacher : manifest.teachers) add_weights_used(run, teacher);
  for (const auto& asked : manifest.asked) {
    edge(of_entry(Node::door, asked.door), run);
    for (const auto& id : asked.terms) edge(of_text(Node::terms, id), run);
  }
  return {};
}

Result<void> Graph::add_model(const ledger::Entry& entry) {
  RETORT_TRY(const auto its, model_from_entry(entry));
  const NodeId model = of_entry(Node::model, entry.index);
  weights_names_.emplace(its.model_id, model);
  if (its.run >= 0) edge(of_entry(Node::run, its.run), model);
  for (const auto& from : its.made_from) edge(of_text(Node::bytes, from), model);
  std::vector<std::string> names{its.name, digest_of(its.name)};
  for (const auto& file : its.files) {
    if (holds_weights(file.name)) names.push_back(file.sha256);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  for (const auto& name : names) {
    const NodeId bytes = of_text(Node::bytes, name);
    edge(model, bytes);
    // Nothing is known of where it comes from but its bytes.
    if (its.run < 0) edge(bytes, model);
    weights_names_.emplace(name, model);
  }
  return {};
}

Result<void> Graph::add_served(const ledger::Entry& entry) {
  RETORT_TRY(const auto its, served_from_entry(entry));
  const NodeId served = of_entry(Node::served, entry.index);
  for (const auto& file : its.files) edge(of_text(Node::bytes, file.sha256), served);
  const std::string key = door_key(its.at.door, its.at.model);
  auto known = door_places_.find(key);
  if (known == door_places_.end()) {
    known = door_places_.emplace(key, make(Node::door, -1)).first;
  }
  edge(served, known->second);
  return {};
}

// "KEY@SHARD": the shard's file no longer has the record, the log still says where it was.
Result<void> Graph::add_erasure(const ledger::Entry& entry) {
  const size_t at = entry.name.find('@');
  if (at == std::string::npos) return {};
  const NodeId records = records_named(entry.name.substr(at + 1));
  if (records == kNone) return base::bad_input("a record was erased in a shard that is not there");
  RETORT_TRY(const auto row, entry.body.int_at("index"));
  erased_.emplace(entry.name.substr(0, at), Erased{records, row});
  return {};
}

}  // namespace retort::lineage
