// JSON text behind other text, for whoever writes many short ones.
#pragma once
#include <string>

#include "json/value.h"

namespace retort::json {

// What dump() gives, compact.
void append_dump(std::string& out, const Value& value);

}  // namespace retort::json
