// Keys of accounts: rt_<kind>_<32 letters and digits><6 of checksum>, 160 bits from the operating
// system in Crockford's base 32. The checksum (30 bits of SHA-256) tells a mistyped key without
// asking the store; only the hash of the whole key is kept. Pure but for make_key; safe from any
// thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "crypto/hash.h"

namespace retort::accounts {

// What a key opens: the API, or the administration's own listener.
enum class KeyKind { api, admin };
const char* name(KeyKind kind);  // "api", "admin"

std::string make_key(KeyKind kind);
// The kind of a well-formed key; nothing for another shape or a checksum that does not fit.
std::optional<KeyKind> parse_key(std::string_view key);
crypto::Digest hash_key(std::string_view key);

// An id that says nothing about what it names: "acct_", "key_" and 16 of the letters above.
std::string make_id(std::string_view prefix);

}  // namespace retort::accounts
