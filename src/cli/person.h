// Who is at the terminal, and where the accounts lie that they administer.
#pragma once
#include <string>

#include "base/result.h"

namespace retort::cli {

// For histories: "ann (local)".
std::string person();
// The book of accounts in a folder; not_found without one.
Result<std::string> accounts_path(const std::string& folder);

}  // namespace retort::cli
