// What an option must be, as a usage error that names its key.
#pragma once
#include <fmt/core.h>

#include "base/result.h"

namespace retort::train {

inline Result<void> require(bool holds, const char* key, const char* expected) {
  if (holds) return {};
  return base::usage_error(fmt::format("{} must be {}", key, expected), key);
}

}  // namespace retort::train
