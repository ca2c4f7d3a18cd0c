// The log's signing key in its folder: made at first use, mode 0600.
#pragma once
#include <string>

#include "base/result.h"
#include "crypto/ed25519.h"

namespace retort::ledger {

// Two processes that start at once end up with the same key. Refuses a key that others can read.
Result<crypto::SigningKey> load_or_make_key(const std::string& path);

}  // namespace retort::ledger
