#include "ledger/brute_force.h"

#include <algorithm>

#include "base/parallel.h"

namespace retort::bench {
namespace {

uint64_t number(int64_t entry) {
  return static_cast<uint64_t>(entry);
}

// Runs that learnt from these shards, their models, and the runs that start from those.
void add_runs(const MadeUpHouse& house, const std::set<int64_t>& learnt_from, Concerned& out) {
  std::set<int64_t> models;
  for (bool more = true; more;) {
    more = false;
    for (int64_t run = 0; run < house.size().runs; ++run) {
      const auto shards = house.shards_of_run(run);
      const bool direct = std::any_of(shards.begin(), shards.end(),
                                      [&](int64_t shard) { return learnt_from.contains(shard); });
      if (!direct && !models.contains(house.base_of_run(run))) continue;
      more |= out.runs.insert(number(house.run_entries[static_cast<size_t>(run)])).second;
      const int64_t model = house.model_of_run(run);
      if (model < 0) continue;
      more |= models.insert(model).second;
      out.models.insert(number(house.model_entries[static_cast<size_t>(model)]));
    }
  }
}

}  // namespace

Concerned brute_force_door(const MadeUpHouse& house, int64_t door) {
  Concerned out;
  std::set<int64_t> shards;
  for (int64_t shard = 0; shard < house.size().shards; ++shard) {
    if (house.door_of_any(shard) != door) continue;
    shards.insert(shard);
    out.shards.insert(number(house.shard_entries[static_cast<size_t>(shard)]));
    out.records += house.size().rows;
  }
  add_runs(house, shards, out);
  return out;
}

Concerned brute_force_record(const MadeUpHouse& house, int64_t shard, int64_t row) {
  const auto& size = house.size();
  std::vector<int64_t> rows(static_cast<size_t>(size.shards));
  std::vector<int64_t> learnt(rows.size());
  base::parallel_for(size.shards, 1, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) {
      for (int64_t i = 0; i < size.rows; ++i) {
        const auto parents = house.parents(at, i);
        const bool concerned = (at == shard && i == row) ||
                               std::any_of(parents.begin(), parents.end(), [&](const auto& one) {
                                 return one.shard == shard && one.row == row;
                               });
        if (!concerned) continue;
        ++rows[static_cast<size_t>(at)];
        if (!house.is_held_out(at, i)) ++learnt[static_cast<size_t>(at)];
      }
    }
  });
  Concerned out;
  std::set<int64_t> learnt_from;
  for (size_t at = 0; at < rows.size(); ++at) {
    if (rows[at] == 0) continue;
    out.records += rows[at];
    out.shards.insert(number(house.shard_entries[at]));
    if (learnt[at] > 0) learnt_from.insert(static_cast<int64_t>(at));
  }
  add_runs(house, learnt_from, out);
  return out;
}

}  // namespace retort::bench
