// A record and what was made from it, row by row.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "corpus/record_index.h"
#include "lineage/graph_internal.h"
#include "lineage/walk_internal.h"

namespace retort::lineage {

// By the shard's node of kind records; rows ascending, none twice.
using Rows = std::map<NodeId, std::vector<uint32_t>>;

struct FollowedRows {
  Rows rows;
  std::map<NodeId, NodeId> from;  // a shard to the one through which it was reached first
};

// `id`: a key, or SHARD:ROW. not_found when no shard and no erasure has it.
Result<Rows> rows_named(const Graph& graph, const corpus::RecordIndex& index,
                        const std::string& id);
// To a fixed point.
Result<FollowedRows> follow(const Graph& graph, const corpus::RecordIndex& index, Rows seeds);
// The runs that learnt from any of these rows; a run of one split learnt from no other.
Result<void> seed_runs(const Graph& graph, const corpus::RecordIndex& index, const Rows& rows,
                       Walk& walk);

}  // namespace retort::lineage
