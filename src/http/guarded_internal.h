#pragma once
#include <exception>

#include "base/log.h"

namespace retort::http {

// A callback that throws would unwind through C, or end the loop for everybody; what it broke is
// the caller's to find.
template <class Call>
void guarded(const Call& call) {
  try {
    call();
  } catch (const std::exception& error) {
    base::log_error("a callback of the HTTP client threw: {}", error.what());
  }
}

}  // namespace retort::http
