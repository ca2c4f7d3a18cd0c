// Models as the log names them.
#pragma once
#include <string>

#include "base/result.h"

namespace retort::cli {

// Of a folder or a file as it was exported; a signature, which came later, is no part of it.
Result<std::string> logged_digest(const std::string& model);

}  // namespace retort::cli
