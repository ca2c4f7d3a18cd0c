#include "release/signature.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/files.h"
#include "crypto/dsse.h"
#include "crypto/hash.h"
#include "terms/statement.h"

namespace retort::release {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBundleType = "application/vnd.dev.sigstore.bundle.v0.3+json";
constexpr const char* kPredicateType = "https://model_signing/signature/v1.0";
constexpr const char* kFacts = "retort";
constexpr const char* kWholeFile = ".";  // how model-signing names the only file of a model
constexpr int64_t kBundleBytesMax = int64_t{64} << 20;
constexpr std::array kGitPaths = {".git", ".gitattributes", ".github", ".gitignore"};

using Files = std::vector<lineage::ModelFile>;

// Paths relative to the model that are no part of it.
std::vector<std::string> left_out(const std::string& model, const std::string& signature) {
  std::vector<std::string> out(kGitPaths.begin(), kGitPaths.end());
  std::error_code code;
  const auto relative = fs::weakly_canonical(signature, code)
                            .lexically_relative(fs::weakly_canonical(model, code))
                            .generic_string();
  if (!relative.empty() && relative != "." && !relative.starts_with("..")) out.push_back(relative);
  return out;
}

bool lies_in(const std::string& name, const std::vector<std::string>& paths) {
  return std::any_of(paths.begin(), paths.end(), [&name](const std::string& path) {
    return name == path || name.starts_with(path + "/");
  });
}

Result<void> refuse_links(const std::string& model) {
  std::error_code code;
  if (fs::is_symlink(model, code)) {
    return base::bad_input("the model is a link", model, "give the path that it leads to");
  }
  if (!base::is_directory(model)) return {};
  for (fs::recursive_directory_iterator it(model, code), end; !code && it != end;
       it.increment(code)) {
    if (!it->is_symlink(code)) continue;
    return base::bad_input("a link is no part of a model that can be signed", it->path().string(),
                           "put the file itself in its place");
  }
  return {};
}

Result<Files> files_of(const std::string& model, const std::vector<std::string>& ignored) {
  RETORT_TRY_VOID(refuse_links(model));
  RETORT_TRY(auto artifact, lineage::artifact_of(model));
  if (!base::is_directory(model)) artifact.files.front().name = kWholeFile;
  std::erase_if(artifact.files, [&](const auto& file) { return lies_in(file.name, ignored); });
  if (artifact.files.empty()) return base::bad_input("there is no file to sign", model);
  return std::move(artifact.files);
}

json::Value predicate_of(const Files& files, const std::vector<std::string>& ignored,
                         json::Value facts) {
  json::Value ignore = json::Value::array();
  for (const auto& path : ignored) ignore.push(path);
  json::Value resources = json::Value::array();
  for (const auto& file : files) {
    resources.push(json::Value::object(
        {{"algorithm", "sha256"}, {"digest", file.sha256}, {"name", file.name}}));
  }
  json::Value out = json::Value::object(
      {{"resources", std::move(resources)},
       {"serialization", json::Value::object({{"allow_symlinks", false},
                                              {"hash_type", "sha256"},
                                              {"ignore_paths", std::move(ignore)},
                                              {"method", "files"}})}});
  if (!facts.is_null()) out.set(kFacts, std::move(facts));
  return out;
}

std::string bundle_text(const crypto::Envelope& envelope, const crypto::EcPublicKey& key) {
  const auto material =
      json::Value::object({{"publicKey", json::Value::object({{"hint", key.id()}})},
                           {"tlogEntries", json::Value::array()}});
  return json::dump(json::Value::object({{"mediaType", kBundleType},
                                         {"verificationMaterial", material},
                                         {"dsseEnvelope", terms::envelope_json(envelope)}})) +
         "\n";
}

Error not_signed_so(std::string what, const std::string& where, std::string hint = "") {
  return {ErrorCode::refused_by_gate, std::move(what), where, std::move(hint)};
}

// A path that leads out of the model, or is written in more than one way, is nobody's file.
bool is_plain(const std::string& name) {
  const fs::path path(name);
  return name == kWholeFile ||
         (!name.empty() && path.is_relative() && path.lexically_normal().generic_string() == name &&
          !name.starts_with(".."));
}

Result<lineage::ModelFile> read_resource(const json::Value& value, const std::string& where) {
  lineage::ModelFile file;
  RETORT_TRY(file.name, value.string_at("name"));
  RETORT_TRY(file.sha256, value.string_at("digest"));
  RETORT_TRY(const auto algorithm, value.string_at("algorithm"));
  if (algorithm != "sha256" || !crypto::digest_from_hex(file.sha256)) {
    return base::bad_input(fmt::format("“{}” is not signed by its SHA-256", file.name), where);
  }
  if (!is_plain(file.name)) {
    return base::bad_input(fmt::format("“{}” is no path within a model", file.name), where);
  }
  return file;
}

Result<Files> read_resources(const json::Value& predicate, const std::string& where) {
  const auto* resources = predicate.find("resources");
  const auto* serialization = predicate.find("serialization");
  if (resources == nullptr || !resources->is_array() || serialization == nullptr ||
      serialization->string_at("method", "").value_or("") != "files" ||
      serialization->string_at("hash_type", "").value_or("") != "sha256") {
    return base::bad_input("the signature does not list whole files by SHA-256", where,
                           "sign the model anew, with files as its serialization");
  }
  Files files;
  for (const auto& one : resources->as_array()) {
    RETORT_TRY(auto file, read_resource(one, where));
    const auto same = [&file](const auto& other) { return other.name == file.name; };
    if (std::any_of(files.begin(), files.end(), same)) {
      return base::bad_input(fmt::format("“{}” is listed twice", file.name), where);
    }
    files.push_back(std::move(file));
  }
  return files;
}

// What the signer left out may be there or not; it was never looked at.
std::vector<std::string> ignored_by(const json::Value& predicate) {
  std::vector<std::string> out;
  const auto* paths = predicate.find("serialization")->find("ignore_paths");
  if (paths == nullptr || !paths->is_array()) return out;
  for (const auto& path : paths->as_array()) {
    if (path.is_string()) out.push_back(path.as_string());
  }
  return out;
}

Result<void> compare(const Files& signed_files, const Files& found, const std::string& model) {
  const auto in = [](const Files& files, const std::string& name) {
    return std::find_if(files.begin(), files.end(),
                        [&name](const auto& file) { return file.name == name; });
  };
  for (const auto& file : signed_files) {
    const auto there = in(found, file.name);
    if (there == found.end()) return not_signed_so("a file that was signed is missing", file.name);
    if (there->sha256 != file.sha256) {
      return not_signed_so("a file is not as it was signed", base::join(model, file.name),
                           "get the model again from whoever signed it");
    }
  }
  for (const auto& file : found) {
    if (in(signed_files, file.name) == signed_files.end()) {
      return not_signed_so("a file was added after signing", base::join(model, file.name),
                           "take it away, or sign the model anew");
    }
  }
  return {};
}

struct Opened {
  Signature signature;
  std::vector<std::string> ignored;
};

Result<Opened> open_bundle(const std::string& bytes, const crypto::EcPublicKey& key,
                           const std::string& where) {
  RETORT_TRY(const auto bundle, json::parse(bytes, where));
  if (!bundle.is_object() || bundle.string_at("mediaType", "").value_or("") != kBundleType) {
    return base::bad_input("this is no signature of a model (sigstore bundle 0.3)", where);
  }
  const auto* inner = bundle.find("dsseEnvelope");
  if (inner == nullptr) return base::bad_input("the bundle holds no DSSE envelope", where);
  RETORT_TRY(const auto envelope, terms::envelope_from_json(*inner, where));
  if (envelope.payload_type != crypto::kInTotoPayload) {
    return base::bad_input("what is signed is no in-toto statement", where);
  }
  if (!crypto::verify_envelope(envelope, key)) {
    return not_signed_so("the signature is not by this key, or what it signs was changed", where,
                         "ask the signer for the right public key");
  }
  RETORT_TRY(const auto statement, terms::parse_statement(envelope.payload, where));
  if (statement.predicate_type != kPredicateType || statement.subjects.size() != 1) {
    return base::bad_input("what is signed is no model (model-signing v1.0, one subject)", where);
  }
  Opened out;
  out.signature.digest = statement.subjects.begin()->first;
  out.signature.name = statement.subjects.begin()->second;
  out.signature.key = key.id();
  RETORT_TRY(out.signature.files, read_resources(statement.predicate, where));
  if (lineage::subject_digest(out.signature.files) != out.signature.digest) {
    return base::bad_input("the files that were signed do not add up to the subject", where);
  }
  out.ignored = ignored_by(statement.predicate);
  if (const auto* facts = statement.predicate.find(kFacts)) out.signature.facts = *facts;
  return out;
}

}  // namespace

std::string signature_path(const std::string& model) {
  return base::is_directory(model) ? base::join(model, "model.sig") : model + ".sig";
}

Result<Signature> sign_model(const std::string& model, const crypto::EcSigningKey& key,
                             json::Value facts, const std::string& signature) {
  const auto ignored = left_out(model, signature);
  Signature out;
  RETORT_TRY(out.files, files_of(model, ignored));
  out.name = fs::path(model).has_filename() ? fs::path(model).filename().string()
                                            : fs::path(model).parent_path().filename().string();
  out.digest = lineage::subject_digest(out.files);
  out.key = key.public_key().id();
  out.facts = facts;
  terms::Statement statement;
  statement.subjects = {{out.digest, out.name}};
  statement.predicate_type = kPredicateType;
  statement.predicate = predicate_of(out.files, ignored, std::move(facts));
  const auto envelope =
      crypto::sign_envelope(crypto::kInTotoPayload, terms::statement_text(statement), key);
  RETORT_TRY_VOID(base::write_file_atomic(signature, bundle_text(envelope, key.public_key())));
  return out;
}

Result<Signature> read_signature(const std::string& bytes, const crypto::EcPublicKey& key,
                                 const std::string& where) {
  RETORT_TRY(auto opened, open_bundle(bytes, key, where));
  return std::move(opened.signature);
}

Result<Signature> verify_model(const std::string& model, const crypto::EcPublicKey& key,
                               const std::string& signature) {
  if (!base::exists(signature)) {
    return base::not_found("the model has no signature", signature,
                           "name it with --signature, or sign the model: retort sign MODEL");
  }
  RETORT_TRY(const auto bytes, base::read_file(signature, kBundleBytesMax));
  RETORT_TRY(auto opened, open_bundle(bytes, key, signature));
  auto ignored = left_out(model, signature);
  ignored.insert(ignored.end(), opened.ignored.begin(), opened.ignored.end());
  // A path that was signed is looked at, whatever list it stands on.
  std::erase_if(ignored, [&](const std::string& path) {
    return std::any_of(opened.signature.files.begin(), opened.signature.files.end(),
                       [&path](const auto& file) { return lies_in(file.name, {path}); });
  });
  RETORT_TRY(const auto found, files_of(model, ignored));
  RETORT_TRY_VOID(compare(opened.signature.files, found, model));
  return std::move(opened.signature);
}

}  // namespace retort::release
