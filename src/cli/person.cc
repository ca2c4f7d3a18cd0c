#include "cli/person.h"

#include <fmt/core.h>
#include <pwd.h>
#include <unistd.h>

#include "base/files.h"

namespace retort::cli {

std::string person() {
  const auto* user = ::getpwuid(::geteuid());
  return user != nullptr ? fmt::format("{} (local)", user->pw_name)
                         : fmt::format("user {} (local)", ::geteuid());
}

Result<std::string> accounts_path(const std::string& folder) {
  std::string path = base::join(folder, "accounts.db");
  if (base::exists(path)) return path;
  return base::not_found("there are no accounts yet", folder,
                         "make one: retort account create \"Example Ltd\"");
}

}  // namespace retort::cli
