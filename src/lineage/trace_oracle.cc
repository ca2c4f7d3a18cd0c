// The oracle: what is concerned, by the rules and over the records themselves, again and again
// until nothing is added. Slow, and with no graph to get wrong.
#include <fmt/core.h>

#include <algorithm>

#include "lineage/trace_world_internal.h"

namespace retort::lineage::testing {
namespace {

template <class Set, class Item>
bool put(Set& set, const Item& item) {
  return set.insert(item).second;
}

bool meet(const std::set<std::string>& a, const std::set<std::string>& b) {
  return std::any_of(a.begin(), a.end(), [&b](const auto& one) { return b.contains(one); });
}

}  // namespace

struct World::Taint {
  std::set<std::string> terms, bytes;  // bytes: digests, names of models, files
  std::set<int64_t> doors, declarations, runs, models;
  // A record that was asked about, and what was made of it: rows, or the whole of their shards.
  std::set<std::pair<size_t, size_t>> rows;
  bool whole_shards = true;

  bool has_row_of(size_t shard) const {
    const auto at = rows.lower_bound({shard, 0});
    return at != rows.end() && at->first == shard;
  }
  bool has(size_t shard, size_t row) const {
    return whole_shards ? has_row_of(shard) : rows.contains({shard, row});
  }

  bool by_source(const Row& row) const {
    return meet(row.terms, terms) ||
           std::any_of(row.doors.begin(), row.doors.end(),
                       [this](int64_t door) { return doors.contains(door); });
  }
};

bool World::is_tainted(const Run& run, const Taint& taint) const {
  if (meet(run.weights, taint.bytes) || meet(run.terms, taint.terms)) return true;
  if (run.asked >= 0 && taint.doors.contains(run.asked)) return true;
  for (const int64_t one : run.declarations) {
    if (taint.declarations.contains(one)) return true;
  }
  for (const size_t at : run.shards) {
    if (taint.whole_shards && taint.has_row_of(at)) return true;
    const auto& rows = shards_[at].rows;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (!learnt(run, rows[i])) continue;
      if (taint.by_source(rows[i]) || taint.has(at, i)) return true;
    }
  }
  return false;
}

bool World::is_tainted(const Model& model, const Taint& taint) const {
  if (taint.runs.contains(model.run)) return true;
  for (const auto& from : model.made_from) {
    if (taint.bytes.contains(from)) return true;
  }
  if (model.run >= 0) return false;
  return meet(model.files, taint.bytes) || taint.bytes.contains(model.name);
}

bool World::mark_children(size_t shard, Taint& taint) const {
  bool more = false;
  const auto& rows = shards_[shard].rows;
  for (size_t i = 0; i < rows.size(); ++i) {
    for (const auto& [parent, at] : rows[i].parents) {
      if (taint.has(parent, at)) more |= put(taint.rows, std::pair(shard, i));
    }
  }
  return more;
}

bool World::step(Taint& taint, uint64_t size) const {
  bool more = false;
  const auto known = [size](int64_t entry) { return static_cast<uint64_t>(entry) < size; };
  for (size_t at = 0; at < shards_.size(); ++at) {
    if (known(shards_[at].entry)) more |= mark_children(at, taint);
  }
  for (const auto& run : runs_) {
    if (known(run.entry) && is_tainted(run, taint)) more |= put(taint.runs, run.entry);
  }
  for (const auto& model : models_) {
    if (!known(model.entry)) continue;
    if (is_tainted(model, taint)) more |= put(taint.models, model.entry);
    if (!taint.models.contains(model.entry)) continue;
    more |= put(taint.bytes, model.name);
    more |= put(taint.bytes, model.name.substr(0, model.name.find('@')));
    for (const auto& file : model.files) more |= put(taint.bytes, file);
  }
  for (const auto& served : served_) {
    if (!known(served.entry) || !meet(served.files, taint.bytes)) continue;
    for (const auto& door : doors_) {
      if (door.model == served.door && known(door.entry)) more |= put(taint.doors, door.entry);
    }
  }
  return more;
}

void World::mark(const Question& question, Taint& taint) const {
  for (size_t shard = 0; shard < shards_.size(); ++shard) {
    const auto& rows = shards_[shard].rows;
    for (size_t i = 0; i < rows.size(); ++i) {
      const bool asked = rows[i].key == question.id ||
                         fmt::format("{}:{}", shards_[shard].digest, i) == question.id;
      if (asked) taint.rows.insert({shard, i});
    }
  }
}

World::Answer World::oracle(const Question& question, uint64_t size, Record record) const {
  using Kind = Question::Kind;
  Taint taint;
  taint.whole_shards = record == Record::by_shard;
  if (question.kind == Kind::kRecord) mark(question, taint);
  const std::string& id = question.id;
  if (question.kind == Kind::kTerms) taint.terms.insert(id);
  if (question.kind == Kind::kWeights) taint.bytes.insert(id);
  for (const auto& [entry, its] : declarations_) {
    if (question.kind == Kind::kDeclaration && its == id) taint.declarations.insert(entry);
  }
  for (const auto& door : doors_) {
    if (question.kind == Kind::kDoor && door.name == id) taint.doors.insert(door.entry);
  }
  for (const auto& model : models_) {
    const bool asked = question.kind == Kind::kWeights &&
                       static_cast<uint64_t>(model.entry) < size &&
                       (model.name == id || model.id == id || model.files.contains(id) ||
                        model.name.starts_with(id + "@"));
    if (asked) taint.models.insert(model.entry);
  }
  while (step(taint, size)) continue;

  Answer out;
  for (size_t at = 0; at < shards_.size(); ++at) {
    const auto& rows = shards_[at].rows;
    if (static_cast<uint64_t>(shards_[at].entry) >= size) continue;
    uint64_t concerned = 0;
    uint64_t by_source = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      concerned += taint.has(at, i) || taint.by_source(rows[i]) ? 1 : 0;
      by_source += taint.by_source(rows[i]) ? 1 : 0;
    }
    if (concerned == 0) continue;
    out.shards.insert(static_cast<uint64_t>(shards_[at].entry));
    // The log knows no part of a shard by its doors.
    out.records += by_source > 0 ? rows.size() : concerned;
  }
  for (const int64_t run : taint.runs) out.runs.insert(static_cast<uint64_t>(run));
  for (const int64_t model : taint.models) out.models.insert(static_cast<uint64_t>(model));
  return out;
}

}  // namespace retort::lineage::testing
