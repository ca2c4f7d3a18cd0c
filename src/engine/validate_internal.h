// What a request may ask for; sentences for those that ask for what cannot be.
#pragma once
#include "engine/engine.h"

namespace retort::engine {

struct RequestLimits {
  int64_t vocab = 0;
  int64_t context_length = 0;
  int64_t adapters = 0;
};
Result<void> validate(const Request& request, const RequestLimits& limits);

}  // namespace retort::engine
