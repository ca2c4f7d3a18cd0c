// The log that a command works on.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/ledger.h"

namespace retort::cli {

// The one in this folder, or with "" the nearest one upwards from here; not_found without one.
Result<std::unique_ptr<ledger::Ledger>> open_ledger(const std::string& folder);

// Folders of the logs that may know a model: the one that is given, or with "" the nearest one
// upwards from here, and from where the model lies.
std::vector<std::string> ledgers_for(const std::string& given, const std::string& model_path);

// Of these the first one that knows this digest (lineage::logged_digest), else the first;
// not_found without any.
Result<std::unique_ptr<ledger::Ledger>> open_ledger_of(const std::string& given,
                                                       const std::string& model_path,
                                                       const std::string& digest);

}  // namespace retort::cli
