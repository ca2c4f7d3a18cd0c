// LEDGER/tile: the log as static files (C2SP tlog-tiles), derived from the database and never read
// back as truth. tile/<L>/<N> holds 256 hashes of tree level 8 L, tile/entries/<N> the entries
// themselves, each after its length as a big-endian uint16; <N>.p/<W> is a tile that has only W of
// them so far. Callers keep other processes out (the database's write lock).
#pragma once
#include <string>

#include "base/result.h"
#include "ledger/nodes_internal.h"
#include "store/database.h"

namespace retort::ledger {

class Tiles {
 public:
  static Result<Tiles> open(const std::string& folder, store::Database& database, Nodes& nodes);

  // Writes what a log of `size` entries has beyond one of `from`. Whole tiles are synced; partial
  // ones are not, since whole() looks at them when the log is opened.
  Result<void> derive(int64_t from, int64_t size);
  // Whether the newest tile of every level is there with the right bytes.
  Result<bool> tail_is_whole(int64_t size);
  // Compares every file. What is missing or cut short is written anew (returns how many); other
  // bytes are bad_input that names the entry.
  Result<int64_t> check(int64_t size);

  // "004", "x001/x234/067".
  static std::string index_path(int64_t index);

 private:
  struct Place {
    int level;  // -1: the entries
    int64_t index;
    int64_t width;  // 1 to 256
  };
  Tiles(std::string folder, store::Statement entries, Nodes& nodes)
      : folder_(std::move(folder)), entries_(std::move(entries)), nodes_(&nodes) {}
  std::string path(const Place& place) const;
  Result<std::string> content(const Place& place);
  Result<void> write(const Place& place);
  Result<bool> check_file(const std::string& path, const std::string& wanted, const Place& place);
  Result<int64_t> check_tile(const Place& place);

  std::string folder_;
  store::Statement entries_;
  Nodes* nodes_;
};

}  // namespace retort::ledger
