// What the parts of Ledger share.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "ledger/ledger.h"
#include "ledger/nodes_internal.h"
#include "ledger/tiles_internal.h"
#include "store/database.h"

namespace retort::ledger {

struct Ledger::Impl {
  std::string folder;
  std::string origin;
  base::Clock* clock;
  crypto::SigningKey key;
  std::unique_ptr<store::Database> database;
  Nodes nodes;
  std::optional<Tiles> tiles{};  // set by make(), as they look at `nodes`
  std::string last_published{};  // text of the checkpoint file as this object left it

  Impl(std::string folder_, std::string origin_, base::Clock& clock_, crypto::SigningKey key_,
       std::unique_ptr<store::Database> database_, Nodes nodes_)
      : folder(std::move(folder_)),
        origin(std::move(origin_)),
        clock(&clock_),
        key(std::move(key_)),
        database(std::move(database_)),
        nodes(std::move(nodes_)) {}
  static Result<std::unique_ptr<Impl>> make(const std::string& folder, const std::string& origin,
                                            base::Clock& clock, crypto::SigningKey key,
                                            std::unique_ptr<store::Database> database);

  Result<int64_t> size();
  // Index of the entry of that name, or -1.
  Result<int64_t> index_of(const std::string& kind, const std::string& name);
  Result<int64_t> last_time_ms(int64_t size);
  Result<void> insert(int64_t size, const Entry& entry);
  Result<void> sign_head(int64_t size);
  // The size that the file `checkpoint` speaks of, 0 without one. bad_input when it is not of an
  // earlier state of this log: then the log was cut off, rolled back or exchanged.
  Result<int64_t> published(int64_t size);
  // Brings tiles and checkpoint up to the database, under its write lock.
  Result<void> publish();
  // What open() does: nothing where all is as it should be.
  Result<void> mend_published();
  std::string where(int64_t index) const;
};

inline constexpr size_t kMaxEntryBytes = 65'535;

std::string entry_bytes(const Entry& entry);

}  // namespace retort::ledger
