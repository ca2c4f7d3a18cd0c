// The same questions answered from the made-up house itself, row by row.
#pragma once
#include <set>

#include "ledger/made_up.h"

namespace retort::bench {

struct Concerned {
  std::set<uint64_t> shards, runs, models;  // entries
  int64_t records = 0;
  bool operator==(const Concerned&) const = default;
};

Concerned brute_force_door(const MadeUpHouse& house, int64_t door);
Concerned brute_force_record(const MadeUpHouse& house, int64_t shard, int64_t row);

}  // namespace retort::bench
