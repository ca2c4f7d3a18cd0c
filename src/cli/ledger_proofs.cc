// retort ledger prove, check and erase: what can be shown of the log, and what is taken out of the
// shards that it names.
#include <fmt/core.h>

#include <cstdio>

#include "base/clock.h"
#include "base/files.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/ledger_verbs.h"
#include "corpus/erasure.h"
#include "corpus/record_proof.h"
#include "json/value.h"
#include "ledger/proof_file.h"

namespace retort::cli {
namespace {

constexpr int64_t kProofBytesMax = int64_t{1} << 20;

Result<void> give(const std::string& text, const std::string& out) {
  if (out.empty()) {
    std::fputs(text.c_str(), stdout);
    return {};
  }
  RETORT_TRY_VOID(base::write_file_atomic(out, text));
  std::fprintf(stderr, "wrote %s\n", out.c_str());
  return {};
}

Result<void> prove_entry(ledger::Ledger& log, const LedgerArguments& arguments) {
  RETORT_TRY(const auto proof, log.prove(arguments.index));
  if (!arguments.out.empty()) return give(ledger::write_proof(proof), arguments.out);
  json::Value path = json::Value::array();
  for (const auto& digest : proof.path) path.push(crypto::to_hex(digest));
  std::printf("%s\n", json::dump(json::Value::object({{"index", proof.index},
                                                      {"entry", proof.entry},
                                                      {"path", std::move(path)},
                                                      {"checkpoint", proof.checkpoint}}),
                                 2)
                          .c_str());
  return {};
}

Result<void> prove_growth(ledger::Ledger& log, const LedgerArguments& arguments) {
  ledger::ConsistencyProof proof;
  proof.old_size = arguments.since;
  RETORT_TRY(proof.path, log.prove_consistency(arguments.since));
  RETORT_TRY(proof.checkpoint, log.checkpoint());
  return give(ledger::write_consistency_proof(proof), arguments.out);
}

using NamedKey = std::pair<std::string, crypto::PublicKey>;

// A file with the line of LEDGER/verifier.key, or the line itself.
Result<NamedKey> read_key(const std::string& given) {
  if (given.empty()) {
    return base::usage_error("with which key?", "--key",
                             "LEDGER/verifier.key, as the log's owner gives it out");
  }
  std::string line = given;
  if (base::exists(given)) {
    RETORT_TRY(line, base::read_file(given, kProofBytesMax));
    while (line.ends_with('\n')) line.pop_back();
  }
  return ledger::parse_verifier_key(line);
}

Error not_held(const Error& error, const std::string& file) {
  return {ErrorCode::refused_by_gate, error.message,
          error.where.empty() ? file : file + ": " + error.where, error.hint};
}

Result<void> say_record(const corpus::ProvenRecord& proven) {
  if (globals().json) {
    print_json(json::Value::object({{"kind", proven.kind},
                                    {"captured_ms", proven.captured_ms},
                                    {"terms_set", int64_t{proven.terms_set}},
                                    {"door", int64_t{proven.door}},
                                    {"parents", static_cast<int64_t>(proven.parents)},
                                    {"shard", proven.shard},
                                    {"shard_entry", proven.shard_entry},
                                    {"log_size", proven.log_size}}));
    return {};
  }
  std::printf(
      "A record of the kind %s, captured %s, under the set of terms of entry %u, through the door "
      "of entry %u,\nstands in the shard %s (entry %lld), which the log of %s entries holds.\n",
      proven.kind.c_str(), base::iso_time(proven.captured_ms).c_str(), proven.terms_set,
      proven.door, proven.shard.c_str(), static_cast<long long>(proven.shard_entry),
      base::grouped(proven.log_size).c_str());
  return {};
}

Result<void> check_growth(const std::string& text, const LedgerArguments& arguments,
                          const NamedKey& key) {
  RETORT_TRY(const auto proof, ledger::read_consistency_proof(text, arguments.what));
  if (arguments.against.empty()) {
    return base::usage_error("since which checkpoint did the log only grow?", "--against",
                             "name the file of the checkpoint that you kept");
  }
  RETORT_TRY(const auto kept, base::read_file(arguments.against, kProofBytesMax));
  const auto held = ledger::verify_consistency_proof(proof, kept, key.first, key.second);
  if (!held) return not_held(held.error(), arguments.what);
  std::printf("The log only grew since that checkpoint, of %s entries.\n",
              base::grouped(proof.old_size).c_str());
  return {};
}

}  // namespace

Result<void> prove(ledger::Ledger& log, const LedgerArguments& arguments) {
  if (!arguments.record.empty()) {
    RETORT_TRY_VOID(log.verify());
    RETORT_TRY(const auto proof,
               corpus::prove_record(log, shard_folders(log, arguments), arguments.record));
    return give(corpus::write_record_proof(proof), arguments.out);
  }
  if (arguments.since > 0) return prove_growth(log, arguments);
  if (arguments.index >= 0) return prove_entry(log, arguments);
  return base::usage_error("prove what?", "prove",
                           "--entry N (retort ledger show lists them), --record KEY, or --since "
                           "SIZE: that the log only grew");
}

Result<void> check_proof(const LedgerArguments& arguments) {
  if (arguments.what.empty()) return base::usage_error("check which proof?", "FILE");
  RETORT_TRY(const auto text, base::read_file(arguments.what, kProofBytesMax));
  RETORT_TRY(const auto key, read_key(arguments.key));
  if (corpus::is_record_proof(text)) {
    const auto proof = corpus::read_record_proof(text, arguments.what);
    if (!proof) return not_held(proof.error(), arguments.what);
    const auto proven = corpus::verify_record_proof(*proof, key.first, key.second);
    if (!proven) return not_held(proven.error(), arguments.what);
    return say_record(*proven);
  }
  if (text.starts_with("old ")) return check_growth(text, arguments, key);
  const auto proof = ledger::read_proof(text, arguments.what);
  if (!proof) return not_held(proof.error(), arguments.what);
  const auto held = ledger::verify_proof(*proof, key.first, key.second);
  if (!held) return not_held(held.error(), arguments.what);
  std::printf("The log %s holds as entry %lld:\n%s\n", key.first.c_str(),
              static_cast<long long>(proof->index), proof->entry.c_str());
  return {};
}

Result<void> erase(ledger::Ledger& log, const LedgerArguments& arguments) {
  if (arguments.what.empty()) {
    return base::usage_error("erase which record?", "RECORD", "its key, or SHARD:ROW");
  }
  RETORT_TRY_VOID(log.verify());
  const auto folders = shard_folders(log, arguments);
  // An interrupted one is ended first, or its shards could not be read.
  RETORT_TRY_VOID(corpus::apply_erasures(log, folders));
  LedgerArguments withdrawing = arguments;
  withdrawing.record = arguments.what;
  withdrawing.holder = "";  // what is erased does not come back
  RETORT_TRY_VOID(withdraw(log, withdrawing));
  RETORT_TRY(const auto report, corpus::erase(log, {.record = arguments.what,
                                                    .folders = folders,
                                                    .reason = arguments.reason,
                                                    .by = arguments.by}));
  std::printf("%s:\n", report.known ? "Erased already" : "Erased");
  for (const auto& one : report.erased) {
    std::printf("  record %s, row %lld of %s\n", one.key.c_str(), static_cast<long long>(one.row),
                one.file.path.c_str());
  }
  for (const auto& path : report.databases) std::printf("  its answer in %s\n", path.c_str());
  for (const auto& one : report.derived) {
    std::printf(
        "  not erased, for its text is another: %s, row %lld of %s (made from it; "
        "withdrawn with it)\n",
        one.key.c_str(), static_cast<long long>(one.row), one.file.path.c_str());
  }
  std::printf(
      "Reports, samples and the examples of a funnel may quote it, and backups hold it: run the "
      "stages again,\nand see to the backups.\n");
  return {};
}

}  // namespace retort::cli
