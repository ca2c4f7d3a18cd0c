// A made-up house as large as asked: the log of its shards, runs and models and the index of its
// records, written by the code that a real one is written by. What lies where follows from a few
// multiplications, so that the brute force needs no memory of it.
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "crypto/hash.h"
#include "ledger/ledger.h"

namespace retort::bench {

struct HouseSize {
  int64_t shards = 0;  // half of them gathered, half derived from those
  int64_t rows = 0;    // a shard
  int64_t doors = 40;  // and as many terms
  int64_t runs = 0;
  int64_t models = 0;
};

class MadeUpHouse {
 public:
  MadeUpHouse(std::string folder, HouseSize size) : folder_(std::move(folder)), size_(size) {}

  struct Times {
    double log_s = 0, index_s = 0;
    int64_t entries = 0, index_bytes = 0;
  };
  // Needs a folder that is not there yet.
  Result<Times> write();

  const HouseSize& size() const { return size_; }
  std::string ledger_folder() const { return folder_ + "/ledger"; }
  int64_t records() const { return size_.shards * size_.rows; }

  static std::string shard_digest(int64_t shard);
  static crypto::Digest key(int64_t shard, int64_t row);
  std::string terms_id(int64_t door) const;
  std::string door_name(int64_t door) const;
  static std::string model_digest(int64_t model);

  bool is_derived(int64_t shard) const { return shard >= size_.shards / 2; }
  // Of a gathered shard.
  int64_t door_of(int64_t shard) const { return shard % size_.doors; }
  struct Place {
    int64_t shard, row;
  };
  // Of a derived shard's row: one parent, of every tenth two, all of one door.
  std::vector<Place> parents(int64_t shard, int64_t row) const;
  // A derived shard's records come of gathered shards of one door.
  int64_t door_of_any(int64_t shard) const;
  bool is_held_out(int64_t shard, int64_t row) const { return (shard * 7 + row) % 20 == 0; }
  std::vector<int64_t> shards_of_run(int64_t run) const;
  // The model that a run starts from, -1: from none. Later runs start from models of earlier ones.
  int64_t base_of_run(int64_t run) const;
  // A run's model, -1: it wrote none.
  int64_t model_of_run(int64_t run) const;

  // What write() wrote, of another process.
  Result<void> read();

  // Entries of the log, set by write() or read().
  std::vector<int64_t> shard_entries, run_entries, model_entries;

 private:
  Result<void> write_dictionaries(ledger::Ledger& log);
  Result<void> write_shards(ledger::Ledger& log, Times& times);
  Result<void> write_runs(ledger::Ledger& log);
  json::Value shard_body(int64_t shard, const std::set<int64_t>& parents) const;
  json::Value run_body(int64_t run) const;

  std::string folder_;
  HouseSize size_;
  std::vector<int64_t> door_entries_, set_entries_;
  std::vector<std::string> digests_;
};

}  // namespace retort::bench
