#include "release/signed_facts.h"

#include <fmt/core.h>

#include <set>

#include "base/clock.h"
#include "lineage/manifest.h"

namespace retort::release {
namespace {

constexpr const char* kSchema = "retort.signature/1";

Error not_proven(std::string what, std::string hint = "") {
  return {ErrorCode::refused_by_gate, std::move(what), "model's signature", std::move(hint)};
}

std::set<std::string> terms_of(const lineage::RunManifest& run) {
  std::set<std::string> out;
  for (const auto& share : run.by_terms) out.insert(share.terms.begin(), share.terms.end());
  if (run.base) out.insert(run.base->terms.begin(), run.base->terms.end());
  for (const auto& teacher : run.teachers) {
    out.insert(teacher.terms.begin(), teacher.terms.end());
  }
  for (const auto& asked : run.asked) out.insert(asked.terms.begin(), asked.terms.end());
  return out;
}

Result<ledger::Proof> proof_of(const json::Value& facts) {
  ledger::Proof proof;
  RETORT_TRY(proof.index, facts.int_at("index"));
  RETORT_TRY(proof.entry, facts.string_at("entry"));
  RETORT_TRY(proof.checkpoint, facts.string_at("checkpoint"));
  const auto* path = facts.find("path");
  if (path == nullptr || !path->is_array()) return not_proven("the proof has no path");
  for (const auto& one : path->as_array()) {
    if (!one.is_string()) return not_proven("the proof's path is not made of hashes");
    RETORT_TRY(const auto digest, crypto::digest_from_hex(one.as_string()));
    proof.path.push_back(digest);
  }
  return proof;
}

}  // namespace

std::string logged_digest(const Signature& signature) {
  const bool single = signature.files.size() == 1 && signature.files.front().name == ".";
  return single ? signature.files.front().sha256 : signature.digest;
}

Result<json::Value> signed_facts(ledger::Ledger& ledger, const std::string& digest) {
  RETORT_TRY(const auto model, lineage::find_model(ledger, digest));
  RETORT_TRY(const auto proof, ledger.prove(model.entry));
  json::Value path = json::Value::array();
  for (const auto& one : proof.path) path.push(crypto::to_hex(one));
  json::Value out = json::Value::object({{"schema", kSchema},
                                         {"origin", ledger.origin()},
                                         {"index", proof.index},
                                         {"entry", proof.entry},
                                         {"path", std::move(path)},
                                         {"checkpoint", proof.checkpoint}});
  if (model.run < 0) return out;
  RETORT_TRY(const auto run, lineage::find_run(ledger, model.run));
  json::Value terms = json::Value::array();
  for (const auto& id : terms_of(run)) terms.push(id);
  out.set("run", run.name).set("terms", std::move(terms));
  return out;
}

Result<std::vector<std::string>> check_facts(const Signature& signature,
                                             const std::string& verifier_key) {
  if (signature.facts.is_null()) {
    return not_proven("the signature says nothing of a log", "it was made by another program");
  }
  if (signature.facts.string_at("schema", "").value_or("") != kSchema) {
    return not_proven("the signature's facts are of a schema that this program does not read");
  }
  RETORT_TRY(const auto key, ledger::parse_verifier_key(verifier_key));
  RETORT_TRY(const auto proof, proof_of(signature.facts));
  if (const auto held = ledger::verify_proof(proof, key.first, key.second); !held) {
    return not_proven("the log did not hold what the signature says: " + held.error().text());
  }
  RETORT_TRY(const auto entry, ledger::parse_entry(proof.entry, proof.index, "the proven entry"));
  RETORT_TRY(const auto model, lineage::model_from_entry(entry));
  if (model.name != logged_digest(signature)) {
    return not_proven("the proof is about another model",
                      "the signature was put together by hand; ask the signer");
  }
  RETORT_TRY(const auto checkpoint,
             ledger::open_checkpoint(proof.checkpoint, key.first, key.second));
  std::vector<std::string> out;
  out.push_back(fmt::format("the log {} held this model as entry {} of {}, written {}", key.first,
                            proof.index, checkpoint.head.size, base::iso_time(entry.time_ms)));
  if (const auto run = signature.facts.string_at("run", ""); run && !run->empty()) {
    out.push_back("it was made by the run " + *run);
  }
  if (const auto* terms = signature.facts.find("terms"); terms != nullptr && terms->is_array()) {
    for (const auto& id : terms->as_array()) {
      if (id.is_string()) out.push_back("under the terms sha256:" + id.as_string());
    }
  }
  return out;
}

}  // namespace retort::release
