#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "corpus/record_index.h"
#include "crypto/hash.h"
#include "lineage/trace_world_internal.h"

namespace retort::lineage::testing {

std::string World::digest() {
  return crypto::sha256_hex(fmt::format("{}", random_()));
}

int64_t World::append(const std::string& kind, const std::string& name, json::Value body) {
  const auto index = static_cast<int64_t>(log_.size());
  log_.push_back(
      {.index = index, .kind = kind, .name = name, .time_ms = index, .body = std::move(body)});
  return index;
}

void World::add_terms() {
  terms_.push_back(digest());
  append("terms", terms_.back(), json::Value::object({{"series", kSeries}}));
}

void World::add_declaration() {
  const std::string id = digest();
  const auto entry = append("declaration", digest(),
                            json::Value::object({{"schema", "retort.declaration/1"}, {"id", id}}));
  declarations_.emplace_back(entry, id);
}

size_t World::door_at(const std::string& model) {
  for (size_t i = 0; i < doors_.size(); ++i) {
    if (doors_[i].model == model) return i;
  }
  Door door{.entry = 0, .name = digest(), .model = model};
  door.entry = append("door", door.name,
                      json::Value::object({{"provider", "p-" + model},
                                           {"endpoint", "https://" + model + "/v1"},
                                           {"plan", ""},
                                           {"model", model}}));
  doors_.push_back(door);
  return doors_.size() - 1;
}

int64_t World::termset_of(const std::set<std::string>& terms) {
  std::string key;
  json::Value items = json::Value::array();
  for (const auto& id : terms) {
    key += id;
    items.push(json::Value::object({{"id", id}, {"object", "outputs"}}));
  }
  if (!termsets_.contains(key)) {
    termsets_[key] = append("termset", digest(), json::Value::object({{"terms", items}}));
  }
  return termsets_[key];
}

// As the product does: a shard has one set of terms.
void World::write_shards(std::vector<Row> rows, const std::string& source) {
  std::map<std::set<std::string>, std::vector<Row>> pure;
  for (auto& row : rows) pure[row.terms].push_back(std::move(row));
  for (auto& [terms, its] : pure) {
    Shard shard{
        .entry = 0, .digest = digest(), .rows = std::move(its), .termset = termset_of(terms)};
    std::set<int64_t> doors;
    std::set<int64_t> parents;
    for (const auto& row : shard.rows) {
      doors.insert(row.doors.begin(), row.doors.end());
      for (const auto& [parent, at] : row.parents) parents.insert(shards_[parent].entry);
    }
    json::Value door_list = json::Value::array();
    json::Value parent_list = json::Value::array();
    for (const int64_t door : doors) door_list.push(door);
    for (const int64_t parent : parents) parent_list.push(parent);
    shard.entry = append("shard", shard.digest,
                         json::Value::object({{"schema", "retort.shard/1"},
                                              {"source", source},
                                              {"records", static_cast<int64_t>(shard.rows.size())},
                                              {"terms_sets", json::Value::array({shard.termset})},
                                              {"doors", door_list},
                                              {"parents", parent_list}}));
    shards_.push_back(std::move(shard));
  }
}

void World::gather() {
  std::vector<std::string> models{"alpha", "beta", "gamma"};
  for (const auto& served : served_) models.push_back(served.door);
  const size_t door = door_at(models[static_cast<size_t>(pick(std::ssize(models)))]);
  std::vector<Row> rows(static_cast<size_t>(1 + pick(6)));
  std::set<std::string> terms{terms_[static_cast<size_t>(pick(std::ssize(terms_)))]};
  if (chance(50)) terms.insert(terms_[static_cast<size_t>(pick(std::ssize(terms_)))]);
  for (auto& row : rows) {
    row.key = digest();
    row.terms = terms;
    row.doors = {doors_[door].entry};
    row.held_out = chance(30);
  }
  write_shards(std::move(rows), "collect");
}

// Records of several shards kept, rewritten and packed: each of up to four parents.
void World::derive() {
  std::vector<Row> rows(static_cast<size_t>(1 + pick(10)));
  const int most = chance(50) ? 1 : 4;
  for (auto& row : rows) {
    for (int64_t n = 1 + pick(most); n > 0; --n) {
      const auto shard = static_cast<size_t>(pick(std::ssize(shards_)));
      const auto at = static_cast<size_t>(pick(std::ssize(shards_[shard].rows)));
      const Row& parent = shards_[shard].rows[at];
      row.parents.emplace_back(shard, at);
      row.key = chance(60) ? parent.key : digest();  // kept or rewritten
      row.terms.insert(parent.terms.begin(), parent.terms.end());
      row.doors.insert(parent.doors.begin(), parent.doors.end());
    }
    row.held_out = chance(30);
  }
  write_shards(std::move(rows), "curate");
}

WeightsUsed World::use_weights() {
  WeightsUsed used;
  used.digest = digest();
  used.terms = {terms_[static_cast<size_t>(pick(std::ssize(terms_)))]};
  if (models_.empty() || chance(20)) {
    used.files = {{"base.gguf", 1, used.digest}};  // of somebody else
    append("weights", used.digest, json::Value::object({{"model", "m"}}));
    return used;
  }
  // By its bytes: a folder's digest is another one to the clearance than to the log of models.
  const Model& model = models_[static_cast<size_t>(pick(std::ssize(models_)))];
  for (const auto& file : model.listed) {
    if (holds_weights(file.name)) used.files.push_back(file);
  }
  if (chance(50)) used.digest = model.name.substr(0, model.name.find('@'));
  append("weights", used.digest, json::Value::object({{"model", "m"}}));
  return used;
}

// A door that is asked about the student's answers, under terms that may be another's.
void World::ask(Run& run, RunManifest& manifest) {
  if (doors_.empty()) return;
  const auto& door = doors_[static_cast<size_t>(pick(std::ssize(doors_)))];
  run.asked = door.entry;
  const std::string id = terms_[static_cast<size_t>(pick(std::ssize(terms_)))];
  run.terms.insert(id);
  manifest.asked = {{.door = door.entry, .verdict = -1, .terms = {id}}};
}

RunManifest World::manifest_of(const Run& run) const {
  RunManifest out;
  out.model_id = "m";
  out.split = run.held_out_too ? "" : "train";
  out.selection = "s";
  std::map<std::vector<std::string>, int64_t> by_terms;
  std::map<int64_t, int64_t> by_door;
  for (const size_t at : run.shards) {
    out.shards.push_back(shards_[at].entry);
    for (const auto& row : shards_[at].rows) {
      if (!learnt(run, row)) continue;
      ++out.records;
      ++by_terms[{row.terms.begin(), row.terms.end()}];
      for (const int64_t door : row.doors) ++by_door[door];
    }
  }
  for (const auto& [terms, records] : by_terms) out.by_terms.push_back({terms, records});
  for (const auto& [door, records] : by_door) out.by_door.push_back({door, records});
  out.declarations = run.declarations;
  return out;
}

void World::train() {
  Run run{.entry = 0,
          .shards = {},
          .held_out_too = chance(20),
          .weights = {},
          .terms = {},
          .declarations = {},
          .asked = -1};
  std::set<size_t> shards;
  for (int64_t n = 1 + pick(4); n > 0; --n) {
    shards.insert(static_cast<size_t>(pick(std::ssize(shards_))));
  }
  run.shards.assign(shards.begin(), shards.end());
  if (!declarations_.empty() && chance(30)) {
    run.declarations.push_back(
        declarations_[static_cast<size_t>(pick(std::ssize(declarations_)))].first);
  }
  RunManifest manifest = manifest_of(run);
  if (chance(50)) manifest.base = use_weights();
  if (chance(20)) manifest.teachers.push_back(use_weights());
  if (chance(20)) ask(run, manifest);
  std::vector<WeightsUsed> used = manifest.teachers;
  if (manifest.base) used.push_back(*manifest.base);
  for (const auto& one : used) {
    run.weights.insert(one.digest);
    run.terms.insert(one.terms.begin(), one.terms.end());
    for (const auto& file : one.files) run.weights.insert(file.sha256);
  }
  run.entry = append("run", digest(), to_json(manifest));
  runs_.push_back(run);
  if (!chance(15)) add_models(run, manifest);  // else it crashed before it wrote one
}

void World::write_model(Model model, const std::string& form) {
  ModelEntry entry;
  entry.model_id = model.id;
  entry.form = form;
  entry.run = model.run;
  entry.made_from = model.made_from;
  entry.files = model.listed;
  for (const auto& file : model.listed) {
    if (holds_weights(file.name)) model.files.insert(file.sha256);
  }
  model.entry = append("model", model.name, to_json(entry));
  models_.push_back(std::move(model));
}

void World::add_models(const Run& run, const RunManifest& manifest) {
  Model first{.entry = 0,
              .name = digest(),
              .id = fmt::format("m-{}", run.entry),
              .run = run.entry,
              .made_from = {},
              .files = {},
              .listed = {}};
  if (manifest.base) first.made_from.push_back(manifest.base->digest);
  first.listed = {{"model.safetensors", 1, digest()}, {"config.json", 1, std::string(64, 'c')}};
  const bool adapter = manifest.base && chance(40);
  if (!models_.empty() && chance(10)) {
    // The same bytes as another run's.
    const Model& same = models_.back();
    first.name = fmt::format("{}@{}", same.name.substr(0, same.name.find('@')), run.entry);
    first.listed = same.listed;
  }
  write_model(first, adapter ? "adapter" : "checkpoint");
  if (chance(50)) return;
  Model copy = first;  // in another format, of the same run
  copy.name = digest();
  copy.made_from.push_back(first.name);
  copy.listed = {{"student.gguf", 1, copy.name}};
  write_model(copy, "gguf");
}

// Merges, quantised copies, and copies of which nothing is known but their bytes.
void World::make_foreign() {
  if (models_.empty()) return;
  const Model& one = models_[static_cast<size_t>(pick(std::ssize(models_)))];
  const Model& other = models_[static_cast<size_t>(pick(std::ssize(models_)))];
  Model made{.entry = 0,
             .name = digest(),
             .id = fmt::format("foreign-{}", log_.size()),
             .run = -1,
             .made_from = {one.name},
             .files = {},
             .listed = {}};
  made.listed = {{"merged.gguf", 1, made.name}};
  if (chance(50)) made.made_from.push_back(other.name);
  if (chance(20)) {
    made.made_from.clear();
    made.listed = one.listed;
  }
  write_model(made, "foreign");
}

void World::serve() {
  if (models_.empty()) return;
  const Model& model = models_[static_cast<size_t>(pick(std::ssize(models_)))];
  ServedEntry entry;
  entry.at.model = fmt::format(
      "served-{}", served_.empty() || chance(70) ? std::ssize(served_) : pick(std::ssize(served_)));
  entry.at.door = {"p-" + entry.at.model, "https://" + entry.at.model + "/v1", ""};
  for (const auto& file : model.listed) {
    if (holds_weights(file.name)) entry.files.push_back(file);
  }
  Served served{.entry = 0, .door = entry.at.model, .files = model.files};
  served.entry = append("served", digest(), to_json(entry));
  served_.push_back(std::move(served));
}

void World::grow(int rounds) {
  for (int i = 0; i < 4; ++i) add_terms();
  for (int round = 0; round < rounds; ++round) {
    add_terms();
    add_declaration();
    for (int i = 0; i < 4; ++i) gather();
    for (int i = 0; i < 4; ++i) derive();
    for (int i = 0; i < 5; ++i) train();
    for (int i = 0; i < 2; ++i) make_foreign();
    for (int i = 0; i < 2; ++i) serve();
  }
}

std::vector<Question> World::keys(size_t n) {
  std::vector<Question> out;
  while (out.size() < n) {
    const auto& rows = shards_[static_cast<size_t>(pick(std::ssize(shards_)))].rows;
    out.push_back({Question::Kind::kRecord, rows[static_cast<size_t>(pick(std::ssize(rows)))].key});
  }
  return out;
}

void World::write_index(const std::string& ledger_folder) const {
  for (const auto& shard : shards_) {
    corpus::RecordIndexWriter writer("world");
    for (const auto& row : shard.rows) {
      std::vector<corpus::ParentLink> links;
      for (const auto& [parent, at] : row.parents) {
        links.push_back({shards_[parent].digest, static_cast<int64_t>(at), ""});
      }
      EXPECT_TRUE(writer.add(row.key, row.held_out ? "held_out" : "train", links).ok());
    }
    EXPECT_TRUE(writer.finish(ledger_folder, shard.digest, shard.termset).ok());
  }
}

std::vector<Question> World::questions(uint64_t size) const {
  using Kind = Question::Kind;
  std::vector<Question> out;
  const auto known = [size](int64_t entry) { return static_cast<uint64_t>(entry) < size; };
  for (const auto& entry : log_) {
    if (entry.kind == "terms" && known(entry.index)) out.push_back({Kind::kTerms, entry.name});
  }
  for (const auto& [entry, id] : declarations_) {
    if (known(entry)) out.push_back({Kind::kDeclaration, id});
  }
  for (const auto& door : doors_) {
    if (known(door.entry)) out.push_back({Kind::kDoor, door.name});
  }
  for (const auto& shard : shards_) {
    if (known(shard.entry)) out.push_back({Kind::kRecord, shard.digest + ":0"});
  }
  for (const auto& model : models_) {
    if (!known(model.entry)) continue;
    out.push_back({Kind::kWeights, model.name});
    out.push_back({Kind::kWeights, model.id});
    for (const auto& file : model.files) out.push_back({Kind::kWeights, file});
  }
  return out;
}

}  // namespace retort::lineage::testing
