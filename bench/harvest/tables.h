// Writes what was learnt as sources of src/detect.
#pragma once
#include <string>

#include "detect/calibration.h"
#include "detect/model.h"

namespace retort::bench::harvest {

// FOLDER/built_in_{account,cluster,calibration}.cc.
Result<void> write_tables(const std::string& folder, const detect::Model& model,
                          const detect::Calibration& calibration);

}  // namespace retort::bench::harvest
