// What the parts of Ledger share.
#pragma once
#include <memory>
#include <string>

#include "ledger/ledger.h"
#include "ledger/nodes_internal.h"
#include "store/database.h"

namespace retort::ledger {

struct Ledger::Impl {
  std::string folder;
  std::string origin;
  base::Clock* clock;
  crypto::SigningKey key;
  std::unique_ptr<store::Database> database;
  Nodes nodes;

  Result<int64_t> size();
  // Index of the entry of that name, or -1.
  Result<int64_t> index_of(const std::string& kind, const std::string& name);
  Result<int64_t> last_time_ms(int64_t size);
  Result<void> insert(int64_t size, const Entry& entry);
  Result<std::string> sign_head(int64_t size);
  std::string where(int64_t index) const;
};

inline constexpr size_t kMaxEntryBytes = 65'535;

std::string entry_bytes(const Entry& entry);
Result<Entry> parse_entry(std::string_view bytes, int64_t index, const std::string& where);

}  // namespace retort::ledger
