// What a client is told where an upstream does not answer. Its own trouble with a request is the
// client's to know, with the upstream's status and words; its trouble with the provider's key or
// bill is not, and looks like any other failure. Pure.
#pragma once
#include <string_view>

#include "http/client.h"
#include "openai/error.h"

namespace retort::relay {

struct Fault {
  openai::ApiError error;
  http::Headers headers{};  // Retry-After, retry-after-ms
  bool own = false;         // the provider's to mend: say so in its log
};

// An answer of another status than 200.
Fault fault_of(const http::Response& response, std::string_view body);
// No answer, or half of one.
Fault fault_of(const http::Outcome& outcome);
// An answer that is none.
openai::ApiError broken_answer();

}  // namespace retort::relay
