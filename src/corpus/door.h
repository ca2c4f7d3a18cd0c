// The door that an address is. One of this machine says nothing lasting in its port (the next run's
// teacher may listen on another), so it is left out there; a user and password never reach a
// record.
#pragma once
#include <string>

#include "corpus/record.h"

namespace retort::corpus {

// `route`: what is asked there, "/chat/completions".
Door door_at(const std::string& base_url, const std::string& route);

}  // namespace retort::corpus
