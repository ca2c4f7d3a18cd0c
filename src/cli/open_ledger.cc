#include "cli/open_ledger.h"

#include <algorithm>
#include <filesystem>

#include "base/files.h"
#include "lineage/manifest.h"

namespace retort::cli {

Result<std::unique_ptr<ledger::Ledger>> open_ledger(const std::string& folder) {
  if (!folder.empty()) return ledger::Ledger::open(folder, {.create = false});
  RETORT_TRY(const auto nearest, ledger::find_ledger("."));
  return ledger::Ledger::open(nearest, {.create = false});
}

std::vector<std::string> ledgers_for(const std::string& given, const std::string& model_path) {
  if (!given.empty()) return {given};
  std::vector<std::string> out;
  const std::string above = base::parent(model_path);
  for (const std::string& start : {std::string("."), above.empty() ? std::string(".") : above}) {
    const auto found = ledger::find_ledger(start);
    if (!found) continue;
    std::error_code code;
    const bool known = std::any_of(out.begin(), out.end(), [&](const std::string& one) {
      return std::filesystem::equivalent(one, *found, code);
    });
    if (!known) out.push_back(*found);
  }
  return out;
}

Result<std::unique_ptr<ledger::Ledger>> open_ledger_of(const std::string& given,
                                                       const std::string& model_path,
                                                       const std::string& digest) {
  const auto folders = ledgers_for(given, model_path);
  for (const auto& folder : folders) {
    RETORT_TRY(auto log, ledger::Ledger::open(folder, {.create = false}));
    if (lineage::find_model(*log, digest)) return log;
  }
  return open_ledger(folders.empty() ? "" : folders.front());
}

}  // namespace retort::cli
