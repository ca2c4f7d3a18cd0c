// The export after permission was given: separate, so that the room's tests need no ledger.
#pragma once
#include <vector>

#include "release/duties.h"
#include "release/export.h"

namespace retort::release {

Result<ExportReport> write_and_check(const ExportInput& input, const std::vector<Duty>& duties);

}  // namespace retort::release
