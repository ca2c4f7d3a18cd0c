// Where the audit lies within the folder of the accounts (audit.h).
#pragma once
#include <string>

#include "base/files.h"

namespace retort::provider {

inline constexpr const char* kAuditKind = "audit";  // of its entries in the log, and its name

inline std::string audit_folder(const std::string& folder) {
  return base::join(folder, "audit");
}

}  // namespace retort::provider
