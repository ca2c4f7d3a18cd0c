#include <filesystem>

#include "base/files.h"
#include "ledger/ledger.h"

namespace retort::ledger {

Result<std::string> find_ledger(const std::string& start) {
  std::error_code code;
  auto folder = std::filesystem::absolute(start.empty() ? "." : start, code).lexically_normal();
  if (code) return base::not_found("there is no such folder", start);
  while (true) {
    const std::string candidate = base::join(folder.string(), "ledger");
    if (base::exists(base::join(candidate, "log.db"))) return candidate;
    if (folder == folder.root_path() || folder == folder.parent_path()) break;
    folder = folder.parent_path();
  }
  return base::not_found("there is no ledger here or in a folder above", start,
                         "a run makes one, or name its folder: ledger = \"…\"");
}

}  // namespace retort::ledger
