// retort sign and retort verify.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>
#include <vector>

#include "base/files.h"
#include "cli/command.h"
#include "cli/open_ledger.h"
#include "crypto/ecdsa.h"
#include "json/value.h"
#include "ledger/ledger.h"
#include "lineage/state.h"
#include "release/signature.h"
#include "release/signed_facts.h"

namespace retort::cli {
namespace {

constexpr int64_t kKeyBytesMax = 1 << 16;

struct SignArguments {
  std::string model, key, signature, ledger, log_key;
  bool new_key = false;
};

std::string signature_of(const SignArguments& arguments) {
  return arguments.signature.empty() ? release::signature_path(arguments.model)
                                     : arguments.signature;
}

// The public part goes beside it, for whoever verifies.
Result<void> make_key(const std::string& path) {
  if (base::exists(path)) {
    return base::usage_error("there is a file of that name already", path,
                             "leave --new-key out to sign with it");
  }
  RETORT_TRY(const auto key, crypto::EcSigningKey::generate());
  RETORT_TRY(const auto pem, key.to_pem());
  // Nobody else reads it, not even while it is being written.
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return base::errno_error("make the key", path);
  auto written = base::write_all(fd, pem, path);
  if (written.ok() && ::fsync(fd) != 0) written = base::errno_error("sync", path);
  ::close(fd);
  if (!written) return written;
  RETORT_TRY_VOID(base::write_file_atomic(path + ".pub", key.public_key().to_pem()));
  std::fprintf(stderr, "made %s; give %s.pub to whoever verifies\n", path.c_str(), path.c_str());
  return {};
}

Result<crypto::EcSigningKey> load_key(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return base::not_found("there is no such key", path, "make one: retort sign MODEL --new-key");
  }
  if ((info.st_mode & 077) != 0) {
    return base::bad_input("the private key can be read by others", path,
                           "take their access away: chmod 600 " + path);
  }
  RETORT_TRY(const auto pem, base::read_file(path, kKeyBytesMax));
  return crypto::EcSigningKey::from_pem(pem, path);
}

using Logs = std::vector<std::unique_ptr<ledger::Ledger>>;

// Whole, and with no word in any of them against this use of the model.
Result<Logs> open_logs(const SignArguments& arguments) {
  Logs out;
  for (const auto& folder : ledgers_for(arguments.ledger, arguments.model)) {
    RETORT_TRY(auto log, ledger::Ledger::open(folder, {.create = false}));
    RETORT_TRY_VOID(log->verify());
    RETORT_TRY_VOID(lineage::check_usable(*log, arguments.model, "sign"));
    out.push_back(std::move(log));
  }
  return out;
}

// What a log knows of the model; null, with a word about it, where none knows anything.
Result<json::Value> facts_of(const Logs& logs, const std::string& digest) {
  for (const auto& log : logs) {
    auto facts = release::signed_facts(*log, digest);
    if (facts || facts.error().code != ErrorCode::not_found) return facts;
    std::fprintf(stderr, "the log %s does not know this model\n", log->folder().c_str());
  }
  if (logs.empty()) std::fputs("there is no ledger here\n", stderr);
  std::fputs("the signature says nothing of a log\n", stderr);
  return json::Value();
}

void print(const release::Signature& signature, const std::vector<std::string>& sentences) {
  if (globals().json) {
    json::Value proven = json::Value::array();
    for (const auto& one : sentences) proven.push(one);
    print_json(json::Value::object({{"model", signature.name},
                                    {"digest", signature.digest},
                                    {"key", signature.key},
                                    {"files", static_cast<int64_t>(signature.files.size())},
                                    {"facts", signature.facts},
                                    {"proven", std::move(proven)}}));
    return;
  }
  std::printf("%s: %zu files, sha256:%s\n", signature.name.c_str(), signature.files.size(),
              signature.digest.c_str());
  std::printf("signed by the key %s\n", signature.key.c_str());
  for (const auto& one : sentences) std::printf("%s\n", one.c_str());
}

// Signed twice: the files' digests are needed to find the model in the log.
Result<void> run_sign(const SignArguments& arguments) {
  if (arguments.new_key) RETORT_TRY_VOID(make_key(arguments.key));
  RETORT_TRY(const auto key, load_key(arguments.key));
  const std::string path = signature_of(arguments);
  RETORT_TRY(const auto logs, open_logs(arguments));
  RETORT_TRY(const auto digests, release::sign_model(arguments.model, key, {}, path));
  RETORT_TRY(auto facts, facts_of(logs, release::logged_digest(digests)));
  RETORT_TRY(const auto made, release::sign_model(arguments.model, key, std::move(facts), path));
  print(made, {});
  return {};
}

Result<void> run_verify(const SignArguments& arguments) {
  RETORT_TRY(const auto pem, base::read_file(arguments.key, kKeyBytesMax));
  RETORT_TRY(const auto key, crypto::EcPublicKey::from_pem(pem, arguments.key));
  RETORT_TRY(const auto verified,
             release::verify_model(arguments.model, key, signature_of(arguments)));
  std::vector<std::string> sentences;
  if (!arguments.log_key.empty()) {
    RETORT_TRY(auto line, base::read_file(arguments.log_key, kKeyBytesMax));
    while (line.ends_with('\n')) line.pop_back();
    RETORT_TRY(sentences, release::check_facts(verified, line));
  }
  print(verified, sentences);
  return {};
}

void declare_model(CLI::App& app, SignArguments& arguments) {
  app.add_option("MODEL", arguments.model, "a folder, or a GGUF file")->required();
  app.add_option("--signature", arguments.signature,
                 "model.sig in the folder, or NAME.sig beside the file, when left out");
}

}  // namespace

Command sign_command() {
  auto arguments = std::make_shared<SignArguments>();
  arguments->key = "signing-key.pem";
  Command command;
  command.name = "sign";
  command.summary = "sign a model (OpenSSF model-signing), with what the log knows of it";
  command.examples =
      "  retort sign runs/quickstart/student --new-key\n"
      "  retort sign runs/quickstart/student.gguf --key signing-key.pem";
  command.declare = [arguments](CLI::App& app) {
    declare_model(app, *arguments);
    app.add_option("--key", arguments->key, "private key (ECDSA P-256, PEM)")
        ->capture_default_str();
    app.add_flag("--new-key", arguments->new_key, "make it first, with KEY.pub for others");
    app.add_option("--ledger", arguments->ledger,
                   "its folder; without, the nearest one upwards from here or from the model");
  };
  command.run = [arguments] { return run_sign(*arguments); };
  return command;
}

Command verify_command() {
  auto arguments = std::make_shared<SignArguments>();
  Command command;
  command.name = "verify";
  command.summary = "check a model's signature, its files, and what the signature says of the log";
  command.examples =
      "  retort verify student --key signing-key.pem.pub\n"
      "  retort verify student --key signing-key.pem.pub --log-key verifier.key\n"
      "  model_signing verify key --public_key signing-key.pem.pub --signature "
      "student/model.sig student";
  command.declare = [arguments](CLI::App& app) {
    declare_model(app, *arguments);
    app.add_option("--key", arguments->key, "public key of the signer (PEM)")->required();
    app.add_option("--log-key", arguments->log_key,
                   "LEDGER/verifier.key of the signer's log, as its owner gives it out");
  };
  command.run = [arguments] { return run_verify(*arguments); };
  return command;
}

}  // namespace retort::cli
