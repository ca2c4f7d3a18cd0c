#include "lineage/records_internal.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

namespace retort::lineage {
namespace {

constexpr size_t kKeyDigits = 64;

void put(Rows& rows, NodeId shard, uint32_t row) {
  auto& its = rows[shard];
  const auto at = std::lower_bound(its.begin(), its.end(), row);
  if (at == its.end() || *at != row) its.insert(at, row);
}

Result<void> check_complete(const Graph& graph, const corpus::RecordIndex& index) {
  size_t missing = 0;
  std::string first;
  for (const auto& [digest, node] : graph.shards()) {
    if (index.has(digest)) continue;
    if (missing++ == 0) first = digest;
  }
  if (missing == 0) return {};
  return base::bad_input(
      fmt::format("the index of the records lacks {} of {} shards", missing, graph.shards().size()),
      first, "retort ledger index --shards FOLDER adds the shards that lie there");
}

// The shards made from this one, as far as the log can tell.
std::vector<NodeId> children_of(const Graph& graph, NodeId shard) {
  std::vector<NodeId> out;
  for (const NodeId next : graph.at(shard).next) {
    if (graph.at(next).kind == Node::records) out.push_back(next);
  }
  for (const NodeId child : graph.without_parents()) {
    if (graph.at(child).entry > graph.at(shard).entry) out.push_back(child);
  }
  return out;
}

// Adds to `have`; returns what was new.
std::vector<uint32_t> merge(std::vector<uint32_t>& have, const std::vector<uint32_t>& more) {
  std::vector<uint32_t> added;
  std::set_difference(more.begin(), more.end(), have.begin(), have.end(),
                      std::back_inserter(added));
  if (added.empty()) return added;
  std::vector<uint32_t> all;
  std::merge(have.begin(), have.end(), added.begin(), added.end(), std::back_inserter(all));
  have = std::move(all);
  return added;
}

Result<bool> any_in_split(const corpus::RecordIndex& index, const std::string& shard,
                          const std::vector<uint32_t>& rows, const std::string& split) {
  if (split.empty()) return true;
  for (const uint32_t row : rows) {
    RETORT_TRY(const auto its, index.split(shard, row));
    if (its == split) return true;
  }
  return false;
}

}  // namespace

Result<Rows> rows_named(const Graph& graph, const corpus::RecordIndex& index,
                        const std::string& id) {
  Rows out;
  if (id.size() != kKeyDigits) {
    return base::usage_error("a record is named by the 64 digits of its key, or as SHARD:ROW", id);
  }
  RETORT_TRY(const auto key, crypto::digest_from_hex(id));
  RETORT_TRY_VOID(check_complete(graph, index));
  RETORT_TRY(const auto places, index.find(key));
  for (const auto& place : places) {
    const NodeId shard = graph.records_named(place.shard);
    if (shard != Graph::kNone) put(out, shard, place.row);
  }
  const auto [begin, end] = graph.erased().equal_range(id);
  for (auto it = begin; it != end; ++it) {
    put(out, it->second.records, static_cast<uint32_t>(it->second.row));
  }
  if (!out.empty()) return out;
  return base::not_found("no sealed shard has a record of that key", id);
}

Result<FollowedRows> follow(const Graph& graph, const corpus::RecordIndex& index, Rows seeds) {
  FollowedRows out;
  std::vector<std::pair<NodeId, std::vector<uint32_t>>> open(seeds.begin(), seeds.end());
  for (const auto& [shard, rows] : open) out.from[shard] = shard;
  out.rows = std::move(seeds);
  while (!open.empty()) {
    const auto [shard, rows] = std::move(open.back());
    open.pop_back();
    const std::string& digest = graph.digest_of_shard(shard);
    for (const NodeId child : children_of(graph, shard)) {
      RETORT_TRY(const auto found, index.children(graph.digest_of_shard(child), digest, rows));
      auto added = merge(out.rows[child], found);
      if (added.empty()) continue;
      out.from.emplace(child, shard);
      open.emplace_back(child, std::move(added));
    }
  }
  std::erase_if(out.rows, [](const auto& one) { return one.second.empty(); });
  return out;
}

Result<void> seed_runs(const Graph& graph, const corpus::RecordIndex& index, const Rows& rows,
                       Walk& walk) {
  for (const auto& [shard, its] : rows) {
    std::map<std::string, bool> known;  // by split
    for (const NodeId next : graph.at(shard).next) {
      if (graph.at(next).kind != Node::run) continue;
      const std::string& split = graph.split_of_run(next);
      auto found = known.find(split);
      if (found == known.end()) {
        RETORT_TRY(const bool any, any_in_split(index, graph.digest_of_shard(shard), its, split));
        found = known.emplace(split, any).first;
      }
      if (found->second) walk.seed(next, shard);
    }
  }
  return {};
}

}  // namespace retort::lineage
