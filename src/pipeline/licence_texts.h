// The texts that a distributed student has to carry because its terms ask for a copy of a licence.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "pipeline/run_options.h"
#include "terms/evaluate.h"

namespace retort::pipeline {

// By the name that the terms use: [duty] licence_copy = "Apache-2.0" in DIR/some-terms.toml means
// the file DIR/LICENSES/Apache-2.0.txt. One that is not there is left empty; the export then names
// the duty as unmet.
Result<std::map<std::string, std::string>> licence_texts(
    const RunOptions& options, const std::vector<terms::OwedDuty>& duties);

}  // namespace retort::pipeline
