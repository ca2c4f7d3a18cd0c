// A model's signature: an OpenSSF model-signing v1.0 bundle (sigstore bundle 0.3 around a DSSE
// envelope around an in-toto statement), ECDSA P-256 with SHA-256. `model_signing verify key` reads
// it; what retort knows of the model stands in the same signed predicate, under "retort", which
// other verifiers pass over.
//
// Errors: not_found and bad_input for paths, keys and bundles that are not what they should be;
// refused_by_gate when the signature or a file is not right. Safe from any thread.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "crypto/ecdsa.h"
#include "json/value.h"
#include "lineage/artifact.h"

namespace retort::release {

// model.sig in a folder, NAME.sig beside a file.
std::string signature_path(const std::string& model);

struct Signature {
  std::string name;                       // of the model, as signed
  std::string digest;                     // of the subject
  std::string key;                        // EcPublicKey::id() of the signer
  std::vector<lineage::ModelFile> files;  // all that were signed
  json::Value facts;                      // null: signed by another program
};

// Signs every file under `model` but the signature itself and what git keeps for itself; links are
// refused, because what they lead to may change. `facts` is signed along.
Result<Signature> sign_model(const std::string& model, const crypto::EcSigningKey& key,
                             json::Value facts, const std::string& signature);

// Checks the signature, then that the files are those that were signed: none changed, none missing,
// none added. The error names the first file that is not right.
Result<Signature> verify_model(const std::string& model, const crypto::EcPublicKey& key,
                               const std::string& signature);

// The bundle's bytes alone, against no model.
Result<Signature> read_signature(const std::string& bytes, const crypto::EcPublicKey& key,
                                 const std::string& where);

}  // namespace retort::release
