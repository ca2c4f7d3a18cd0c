// What retort signs along with a model: which entry of which log says where it came from, with the
// proof that the log held it, so that whoever has the model and the log's public key can check the
// chain without the log.
//   {"schema": "retort.signature/1", "origin", "entry": the entry's bytes, "index", "path": [hex],
//    "checkpoint", "run", "terms": [ids]}
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "json/value.h"
#include "ledger/ledger.h"
#include "release/signature.h"

namespace retort::release {

// Of the model whose entry in the log is named `digest`; not_found where the log knows none.
Result<json::Value> signed_facts(ledger::Ledger& ledger, const std::string& digest);

// How the log names what was signed: the subject of a folder, the bytes' digest of a single file.
std::string logged_digest(const Signature& signature);

// What the facts prove, in sentences. `verifier_key`: the line of LEDGER/verifier.key, as its owner
// gives it out. refused_by_gate when the proof is not right or is about another model.
Result<std::vector<std::string>> check_facts(const Signature& signature,
                                             const std::string& verifier_key);

}  // namespace retort::release
