#include "cli/open_ledger.h"

namespace retort::cli {

Result<std::unique_ptr<ledger::Ledger>> open_ledger(const std::string& folder) {
  if (!folder.empty()) return ledger::Ledger::open(folder, {.create = false});
  RETORT_TRY(const auto nearest, ledger::find_ledger("."));
  return ledger::Ledger::open(nearest, {.create = false});
}

}  // namespace retort::cli
