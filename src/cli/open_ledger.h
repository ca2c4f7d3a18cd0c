// The log that a command works on.
#pragma once
#include <memory>
#include <string>

#include "base/result.h"
#include "ledger/ledger.h"

namespace retort::cli {

// The one in this folder, or with "" the nearest one upwards from here; not_found without one.
Result<std::unique_ptr<ledger::Ledger>> open_ledger(const std::string& folder);

}  // namespace retort::cli
