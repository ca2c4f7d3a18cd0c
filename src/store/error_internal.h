// SQLite's error codes as sentences for people.
#pragma once
#include <string>

#include "base/result.h"

struct sqlite3;

namespace retort::store {

// `code` is an extended or primary result code; the handle, if any, gives SQLite's own words.
Error sqlite_failure(sqlite3* database, int code, const std::string& path);

}  // namespace retort::store
