#include "cli/terms_verbs.h"

#include <fmt/core.h>

#include <cstdio>

#include "base/clock.h"
#include "base/files.h"
#include "base/progress.h"
#include "corpus/declarations.h"
#include "crypto/dsse.h"
#include "json/value.h"
#include "ledger/ledger.h"
#include "pipeline/permission.h"
#include "terms/reading.h"

namespace retort::cli {
namespace {

constexpr int64_t kFileBytesMax = int64_t{1} << 20;

Result<std::unique_ptr<ledger::Ledger>> open_log(const TermsArguments& arguments) {
  std::string folder = arguments.ledger;
  if (folder.empty()) {
    const auto found = ledger::find_ledger(".");
    folder = found ? *found : "ledger";
  }
  return ledger::Ledger::open(folder, {.create = arguments.verb == "log"});
}

Result<std::string> only_file(const TermsArguments& arguments, const char* what) {
  if (arguments.files.size() == 1) return arguments.files[0];
  return base::usage_error(fmt::format("{} takes one {}", arguments.verb, what), "FILE");
}

void print_one(const corpus::LoggedDeclaration& one) {
  const auto& declaration = one.declaration;
  std::printf("%s  %s (%s) for %s, up to %s records, until %s\n", declaration.id.c_str(),
              declaration.declarant.c_str(), declaration.role.c_str(), declaration.model_id.c_str(),
              base::grouped(declaration.max_records).c_str(), declaration.valid_until.c_str());
  std::printf("  “%s”\n", declaration.statement.c_str());
  for (const auto& id : declaration.terms) std::printf("  terms %s\n", id.c_str());
  std::printf("  %s\n", declaration.void_reason.empty()
                            ? fmt::format("counts, from entry {} of {}", one.leaf,
                                          base::iso_date(one.logged_ms))
                                  .c_str()
                            : ("does not count: " + declaration.void_reason).c_str());
}

}  // namespace

Result<void> declare(const TermsArguments& arguments) {
  RETORT_TRY(const auto file, only_file(arguments, "run file"));
  RETORT_TRY(const auto run, pipeline::load_run({.path = file}));
  RETORT_TRY(const auto text,
             pipeline::draft_declaration(run, {.declarant = arguments.declarant,
                                               .role = arguments.role,
                                               .model_id = "",
                                               .statement = arguments.statement,
                                               .valid_until = arguments.valid_until,
                                               .max_records = arguments.max_records}));
  const std::string out = arguments.out.empty() ? "declaration.json" : arguments.out;
  RETORT_TRY_VOID(base::write_file_atomic(out, text));
  std::printf(
      "%s\nThis stands in %s, unsigned: it says nothing yet. Read it; whoever answers for it "
      "signs\n"
      "  retort terms sign %s --key KEY.pem\nand then it is logged\n"
      "  retort terms log %s.signed --decider KEY.pub\n",
      text.c_str(), out.c_str(), out.c_str(), out.c_str());
  return {};
}

Result<void> sign(const TermsArguments& arguments) {
  RETORT_TRY(const auto file, only_file(arguments, "statement or terms file"));
  if (arguments.key.empty()) {
    return base::usage_error("whose signature is it?", "--key",
                             "make a key with: openssl genpkey -algorithm EC -pkeyopt "
                             "ec_paramgen_curve:P-256 -out key.pem");
  }
  RETORT_TRY(const auto pem, base::read_file(arguments.key, kFileBytesMax));
  RETORT_TRY(const auto key, crypto::EcSigningKey::from_pem(pem, arguments.key));
  RETORT_TRY(std::string statement, base::read_file(file, kFileBytesMax));
  std::string out = file + ".signed";
  if (file.ends_with(".toml")) {
    RETORT_TRY(const auto terms, terms::parse_terms(statement, file));
    if (terms.sig.empty()) {
      return base::bad_input(
          "the terms file names no file for its signature", file,
          fmt::format("add sig = \"{}.sig\" under [review]", base::base_name(file)));
    }
    statement = terms::reading_statement(terms);
    out = base::join(base::parent(file), terms.sig);
  } else {
    RETORT_TRY_VOID(terms::parse_declaration(statement, file));
  }
  if (!arguments.out.empty()) out = arguments.out;
  const auto envelope = crypto::sign_envelope(crypto::kInTotoPayload, statement, key);
  RETORT_TRY_VOID(
      base::write_file_atomic(out, json::dump(terms::envelope_json(envelope), 2) + "\n"));
  std::printf("%s\nsigned with the key %s, into %s\n", statement.c_str(),
              key.public_key().id().c_str(), out.c_str());
  return {};
}

Result<void> log_signed(const TermsArguments& arguments) {
  RETORT_TRY(const auto file, only_file(arguments, "signed declaration"));
  RETORT_TRY(const auto text, base::read_file(file, kFileBytesMax));
  RETORT_TRY(const auto envelope, json::parse(text, file));
  RETORT_TRY(const auto deciders, terms::load_deciders(arguments.deciders));
  RETORT_TRY(auto log, open_log(arguments));
  RETORT_TRY(const auto one, corpus::log_declaration(*log, envelope, deciders, file));
  print_one(one);
  return {};
}

Result<void> list_declarations(const TermsArguments& arguments) {
  RETORT_TRY(const auto deciders, terms::load_deciders(arguments.deciders));
  RETORT_TRY(auto log, open_log(arguments));
  RETORT_TRY(const auto all,
             corpus::read_declarations(*log, deciders, base::system_clock().wall_ms()));
  for (const auto& one : all) print_one(one);
  if (all.empty()) std::printf("The log holds no declaration.\n");
  return {};
}

Result<void> revoke(const TermsArguments& arguments) {
  RETORT_TRY(const auto id, only_file(arguments, "declaration's id"));
  if (arguments.declarant.empty()) {
    return base::usage_error("who revokes it?", "--declarant", "give a name");
  }
  RETORT_TRY(auto log, open_log(arguments));
  RETORT_TRY(const auto leaf,
             corpus::revoke_declaration(*log, {id, arguments.declarant, arguments.reason}));
  std::printf("Revoked: entry %s. It counts for nothing from now on.\n",
              std::to_string(leaf).c_str());
  return {};
}

}  // namespace retort::cli
