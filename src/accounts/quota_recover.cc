// After a process has died: what it used, from its live file.
#include <algorithm>
#include <string>

#include "accounts/quota_internal.h"
#include "base/log.h"

namespace retort::accounts {
namespace {

constexpr std::string_view kPrefix = "live-";
constexpr std::string_view kLock = ".lock";

// The grants of a dead process, whose lock the caller holds.
Result<void> settle_one(const std::string& folder, const std::string& process, QuotaStore& store) {
  const std::string path = base::join(folder, process);
  std::optional<QuotaStore::Spent> spent;
  if (const auto live = LiveFile::read(path)) {
    spent = live->spent();
  } else {
    base::log_warning(
        "quotas: what a process used before it died is not known ({}); all that it had been "
        "granted "
        "counts as used",
        live.error().text());
  }
  return store.settle_dead(process, spent);
}

}  // namespace

Result<void> settle_dead_processes(const std::string& folder, QuotaStore& store) {
  std::vector<std::string> processes;
  // On a server there are those of other machines, too, whose files are not here.
  if (!store.is_shared()) {
    RETORT_TRY(processes, store.processes());
  }
  RETORT_TRY(const auto files, base::list_directory(folder));
  for (const auto& file : files) {
    if (file.starts_with(kPrefix) && !file.ends_with(kLock)) processes.push_back(file);
  }
  std::sort(processes.begin(), processes.end());
  processes.erase(std::unique(processes.begin(), processes.end()), processes.end());
  for (const auto& process : processes) {
    const std::string path = base::join(folder, process);
    const auto lock = base::FileLock::acquire(path + std::string(kLock));
    if (!lock) continue;  // it lives
    RETORT_TRY_VOID(settle_one(folder, process, store));
    RETORT_TRY_VOID(base::remove_all(path));
    RETORT_TRY_VOID(base::remove_all(path + std::string(kLock)));
  }
  return {};
}

}  // namespace retort::accounts
