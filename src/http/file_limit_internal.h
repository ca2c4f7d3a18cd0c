// A connection is an open file, and the system limits those of a process.
#pragma once
#include <cstdint>

namespace retort::http {

// Raises this process's limit as far as the system allows, for so many connections and some files
// beside. How many connections fit, so that none is accepted that cannot be served.
int64_t connections_with_files(int64_t wanted);

}  // namespace retort::http
