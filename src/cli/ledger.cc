#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

#include "base/clock.h"
#include "base/files.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/ledger_trace.h"
#include "cli/ledger_verbs.h"
#include "cli/open_ledger.h"
#include "crypto/hash.h"
#include "json/value.h"
#include "ledger/ledger.h"

namespace retort::cli {
namespace {

Result<void> verify(ledger::Ledger& log) {
  RETORT_TRY(const auto entries, log.verify());
  RETORT_TRY(const auto checkpoint, log.checkpoint());
  std::printf("%s entries, all in place.\n%s", base::grouped(entries).c_str(), checkpoint.c_str());
  return {};
}

Result<void> show(ledger::Ledger& log) {
  RETORT_TRY(const auto head, log.head());
  for (int64_t i = 0; i < head.size; ++i) {
    RETORT_TRY(const auto entry, log.entry(i));
    if (globals().json) {
      print_json(json::Value::object({{"index", entry.index},
                                      {"kind", entry.kind},
                                      {"name", entry.name},
                                      {"time_ms", entry.time_ms},
                                      {"body", entry.body}}));
    } else {
      std::printf("%6s  %s  %-8s %s\n", base::grouped(i).c_str(),
                  base::iso_time(entry.time_ms).c_str(), entry.kind.c_str(), entry.name.c_str());
    }
  }
  return {};
}

// The flags that say from what are the same for a trace and a withdrawal.
TraceArguments trace_of(const LedgerArguments& arguments) {
  TraceArguments out = arguments.trace;
  out.terms = arguments.terms;
  out.door = arguments.door;
  out.record = arguments.record;
  out.declaration = arguments.declaration;
  return out;
}

Result<void> run_ledger(const LedgerArguments& arguments) {
  if (arguments.verb == "check") return check_proof(arguments);  // needs no log
  RETORT_TRY(auto log, open_ledger(arguments.folder));
  if (arguments.verb == "verify") return verify(*log);
  if (arguments.verb == "show") return show(*log);
  if (arguments.verb == "withdraw") return withdraw(*log, arguments);
  if (arguments.verb == "take-back") return take_back(*log, arguments);
  if (arguments.verb == "states") return list_states(*log);
  if (arguments.verb == "state") return move_state(*log, arguments);
  if (arguments.verb == "erase") return erase(*log, arguments);
  if (arguments.verb == "trace") return trace(*log, trace_of(arguments));
  if (arguments.verb == "index") return make_index(*log, shard_folders(*log, arguments));
  return prove(*log, arguments);
}

void declare_proofs(CLI::App& app, LedgerArguments& arguments) {
  app.add_option("--entry", arguments.index, "prove: number of the entry");
  app.add_option("--since", arguments.since,
                 "prove: that the log only grew since it had so many entries");
  app.add_option("-o,--out", arguments.out, "prove: the file; to the terminal when left out");
  app.add_option(
      "--key", arguments.key,
      "check: LEDGER/verifier.key of the log, or its line; take-back: the private key of "
      "the withdrawal's holder");
  app.add_option("--against", arguments.against,
                 "check: the checkpoint that was kept, for a proof of growth");
}

void declare_withdraw(CLI::App& app, LedgerArguments& arguments) {
  app.add_option("--terms", arguments.terms, "withdraw, trace: terms by their id or series");
  app.add_option("--door", arguments.door,
                 "withdraw, trace: a door by the name of its entry, its endpoint or its provider");
  app.add_option(
      "--record", arguments.record,
      "withdraw, trace, prove: a record by its key, or SHARD:ROW; with what was derived from it");
  app.add_option("--declaration", arguments.declaration,
                 "withdraw, trace: a declaration by its id");
  app.add_option("--case", arguments.why,
                 "why terms or a door are withdrawn: terms-changed (records captured from --from "
                 "on), account-ended (all), reading-corrected (all are judged anew)");
  app.add_option("--from", arguments.from, "terms-changed: the day from which the new ones hold");
  app.add_option("--corrected-by", arguments.corrected_by,
                 "reading-corrected: the terms file that is right");
  app.add_option("--shards", arguments.shards,
                 "--record, erase, index: folders that hold its shards; without, all beneath the "
                 "folder that "
                 "holds the ledger")
      ->allow_extra_args(false);
  app.add_option("--holder", arguments.holder,
                 "withdraw: the public key (ECDSA P-256, PEM) of who may take it back; without, "
                 "nobody");
  app.add_option("--reason", arguments.reason,
                 "withdraw, take-back, state, erase: in words, for the log");
  app.add_option("--by", arguments.by, "withdraw, take-back, state, erase: who says so");
  app.add_option("--to", arguments.to,
                 "state: traced, quarantined, remediated, withdrawn, clear or frozen");
  app.add_option("--run", arguments.run, "state --to remediated: the run that made another model");
}

void declare_trace(CLI::App& app, LedgerArguments& arguments) {
  auto& of = arguments.trace;
  app.add_option("--model", of.model, "trace: from this model; its file, digest or model_id");
  app.add_option("--proofs", of.proofs, "trace: a new folder for the answer and its proofs");
  app.add_option("--ids", of.ids, "trace: a file for the keys and places of the records");
  app.add_flag("--whole-shards", of.whole_shards,
               "trace: of a record, from the log without the index");
}

}  // namespace

Command ledger_command() {
  auto arguments = std::make_shared<LedgerArguments>();
  Command command;
  command.name = "ledger";
  command.summary =
      "the log of all that permission rests on: verify, prove, trace, withdraw, erase";
  command.examples =
      "  retort ledger verify\n  retort ledger show\n  retort ledger prove --entry 3\n"
      "  retort ledger prove --record KEY -o record.proof\n"
      "  retort ledger check record.proof --key ledger/verifier.key\n"
      "  retort ledger withdraw --terms example.api --case account-ended --by NAME --reason WORDS\n"
      "  retort ledger take-back 41 --key holder.pem --by NAME --reason WORDS\n"
      "  retort ledger trace --door https://api.example.com/v1\n"
      "  retort ledger trace --terms 4f1c09aa --proofs evidence\n"
      "  retort ledger states\n"
      "  retort ledger state 0123456789abcdef --to traced --by NAME\n"
      "  retort ledger erase KEY --by NAME --reason WORDS";
  command.declare = [arguments](CLI::App& app) {
    app.add_option(
           "VERB", arguments->verb,
           "verify, show, prove, check, trace, index, withdraw, take-back, states, state or "
           "erase")
        ->required()
        ->check(CLI::IsMember({"verify", "show", "prove", "check", "trace", "index", "withdraw",
                               "take-back", "states", "state", "erase"}));
    app.add_option(
        "WHAT", arguments->what,
        "state: a model, by digits of its name or its entry; erase: a record; check: a file; "
        "take-back: the entry of a withdrawal");
    app.add_option("--ledger", arguments->folder, "its folder; the nearest one upwards without");
    declare_proofs(app, *arguments);
    declare_withdraw(app, *arguments);
    declare_trace(app, *arguments);
  };
  command.run = [arguments] { return run_ledger(*arguments); };
  return command;
}

}  // namespace retort::cli
