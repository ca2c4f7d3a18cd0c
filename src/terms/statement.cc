#include "terms/statement.h"

#include <fmt/core.h>

#include "base/files.h"
#include "crypto/hash.h"
#include "json/table.h"

namespace retort::terms {
namespace {

constexpr std::string_view kBegin = "-----BEGIN";
constexpr std::string_view kEnd = "-----END";

Result<std::string> decoded(json::Table& table, const char* key, const std::string& where) {
  const auto bytes = crypto::from_base64(table.required(key));
  if (!bytes) return bytes.error().at(fmt::format("{} {}", where, key));
  return *bytes;
}

Result<crypto::EnvelopeSignature> read_signature(const json::Value& value,
                                                 const std::string& where) {
  json::Table table(&value, where + ": signatures");
  crypto::EnvelopeSignature out;
  out.keyid = table.text("keyid");
  RETORT_TRY(out.signature, decoded(table, "sig", where));
  RETORT_TRY_VOID(table.finish());
  return out;
}

}  // namespace

json::Value envelope_json(const crypto::Envelope& envelope) {
  json::Value signatures = json::Value::array();
  for (const auto& one : envelope.signatures) {
    signatures.push(
        json::Value::object({{"keyid", one.keyid}, {"sig", crypto::to_base64(one.signature)}}));
  }
  return json::Value::object({{"payload", crypto::to_base64(envelope.payload)},
                              {"payloadType", envelope.payload_type},
                              {"signatures", std::move(signatures)}});
}

Result<crypto::Envelope> envelope_from_json(const json::Value& value, const std::string& where) {
  json::Table table(&value, where);
  crypto::Envelope out;
  RETORT_TRY(out.payload, decoded(table, "payload", where));
  out.payload_type = table.required("payloadType");
  table.known("signatures");
  RETORT_TRY_VOID(table.finish());
  const auto* signatures = value.find("signatures");
  if (signatures == nullptr || !signatures->is_array() || signatures->as_array().empty()) {
    return base::bad_input("the envelope bears no signature", where,
                           "sign the statement with: retort terms sign");
  }
  for (const auto& one : signatures->as_array()) {
    RETORT_TRY(auto signature, read_signature(one, where));
    out.signatures.push_back(std::move(signature));
  }
  return out;
}

std::string statement_text(const Statement& statement) {
  json::Value subjects = json::Value::array();
  for (const auto& [digest, name] : statement.subjects) {
    subjects.push(json::Value::object(
        {{"name", name}, {"digest", json::Value::object({{"sha256", digest}})}}));
  }
  return json::dump(json::Value::object({{"_type", kStatementType},
                                         {"subject", std::move(subjects)},
                                         {"predicateType", statement.predicate_type},
                                         {"predicate", statement.predicate}}),
                    2) +
         "\n";
}

Result<Statement> parse_statement(std::string_view text, const std::string& where) {
  RETORT_TRY(const auto value, json::parse(text, where));
  Statement out;
  json::Table table(&value, where);
  if (table.required("_type") != kStatementType) {
    table.fail("this is no in-toto Statement v1", "_type");
  }
  out.predicate_type = table.required("predicateType");
  table.known("subject");
  table.known("predicate");
  RETORT_TRY_VOID(table.finish());
  if (const auto* predicate = value.find("predicate")) out.predicate = *predicate;
  const auto* subjects = value.find("subject");
  if (subjects == nullptr || !subjects->is_array() || subjects->as_array().empty()) {
    return base::bad_input("the statement names nothing that it is about", where + " subject");
  }
  for (const auto& one : subjects->as_array()) {
    json::Table subject(&one, where + ": subject");
    std::string name = subject.required("name");
    subject.known("digest");
    RETORT_TRY_VOID(subject.finish());
    json::Table digest(one.find("digest"), where + ": subject digest");
    std::string sha256 = digest.digest("sha256");
    if (sha256.empty()) digest.fail("the key sha256 is missing or empty");
    RETORT_TRY_VOID(digest.finish());
    out.subjects.emplace(std::move(sha256), std::move(name));
  }
  return out;
}

Result<Deciders> load_deciders(const std::vector<std::string>& paths) {
  Deciders out;
  for (const auto& path : paths) {
    RETORT_TRY(const auto text, base::read_file(path, int64_t{1} << 20));
    size_t at = text.find(kBegin);
    if (at == std::string::npos) {
      return base::bad_input("there is no public key in it", path,
                             "write one with: openssl pkey -in key.pem -pubout");
    }
    while (at != std::string::npos) {
      const size_t end = std::min(text.find('\n', text.find(kEnd, at)), text.size());
      RETORT_TRY(auto key, crypto::EcPublicKey::from_pem(text.substr(at, end - at) + "\n", path));
      out.push_back(std::move(key));
      at = text.find(kBegin, end);
    }
  }
  return out;
}

const crypto::EcPublicKey* signer(const crypto::Envelope& envelope, const Deciders& deciders) {
  for (const auto& key : deciders) {
    if (crypto::verify_envelope(envelope, key)) return &key;
  }
  return nullptr;
}

}  // namespace retort::terms
