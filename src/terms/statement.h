// Signed statements of people: an in-toto Statement v1 as the payload of a DSSE envelope, signed
// with ECDSA P-256. Here is what all of them share; declaration.h and reading.h say what they
// state. Pure, but for load_deciders; safe from any thread.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "crypto/dsse.h"
#include "json/value.h"

namespace retort::terms {

inline constexpr const char* kStatementType = "https://in-toto.io/Statement/v1";

// An envelope as JSON: {"payload": base64, "payloadType", "signatures": [{"keyid", "sig":
// base64}]}.
json::Value envelope_json(const crypto::Envelope& envelope);
// Strict: unknown members, no signature, a payload or signature that is no base64 are bad input.
Result<crypto::Envelope> envelope_from_json(const json::Value& value, const std::string& where);

struct Statement {
  std::map<std::string, std::string> subjects;  // SHA-256 in hex to name
  std::string predicate_type;
  json::Value predicate;
};
// Pretty-printed, for a person to read before it is signed; these bytes are the payload.
std::string statement_text(const Statement& statement);
Result<Statement> parse_statement(std::string_view text, const std::string& where);

// The public keys of those who may decide for the house: counsel, an owner.
using Deciders = std::vector<crypto::EcPublicKey>;
// PEM files with one public key or more each.
Result<Deciders> load_deciders(const std::vector<std::string>& paths);
// Whose signature it bears; nullptr: nobody's among these.
const crypto::EcPublicKey* signer(const crypto::Envelope& envelope, const Deciders& deciders);

}  // namespace retort::terms
