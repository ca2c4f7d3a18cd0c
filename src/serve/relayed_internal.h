// The answer of another server on its way through the door: counted, audited, cut where the account
// is suspended, never kept for a reader who does not read.
#pragma once
#include "relay/upstream.h"
#include "serve/door_internal.h"

namespace retort::serve {

// Takes the request, if it is for a model that an upstream answers; false: it is not.
bool answer_relayed(Call& call, relay::Kind kind);

}  // namespace retort::serve
