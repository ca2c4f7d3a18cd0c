// Where the audit lies within the folder of the accounts (audit.h).
#pragma once
#include <string>

#include "base/files.h"

namespace retort::provider {

inline constexpr const char* kAuditKind = "audit";  // of its entries in the log

inline std::string audit_folder(const std::string& folder) {
  return base::join(folder, "audit");
}
inline std::string audit_log_folder(const std::string& folder) {
  return base::join(folder, "log");
}
inline std::string audit_segment_path(const std::string& folder, const std::string& digest) {
  return base::join(audit_folder(folder), digest + ".jsonl");
}

}  // namespace retort::provider
