#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

#include "base/clock.h"
#include "base/files.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/ledger_trace.h"
#include "crypto/hash.h"
#include "json/value.h"
#include "ledger/ledger.h"

namespace retort::cli {
namespace {

struct LedgerArguments {
  std::string verb;
  std::string folder;
  int64_t index = -1;
  TraceArguments trace;
  std::vector<std::string> shards;
};

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
      std::printf("%s\n", json::dump(json::Value::object({{"index", entry.index},
                                                          {"kind", entry.kind},
                                                          {"name", entry.name},
                                                          {"time_ms", entry.time_ms},
                                                          {"body", entry.body}}))
                              .c_str());
    } else {
      std::printf("%6s  %s  %-8s %s\n", base::grouped(i).c_str(),
                  base::iso_time(entry.time_ms).c_str(), entry.kind.c_str(), entry.name.c_str());
    }
  }
  return {};
}

Result<void> prove(ledger::Ledger& log, int64_t index) {
  RETORT_TRY(const auto proof, log.prove(index));
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

Result<void> run_ledger(const LedgerArguments& arguments) {
  std::string folder = arguments.folder;
  if (folder.empty()) {
    RETORT_TRY(folder, ledger::find_ledger("."));
  }
  RETORT_TRY(auto log, ledger::Ledger::open(folder, {.create = false}));
  if (arguments.verb == "verify") return verify(*log);
  if (arguments.verb == "show") return show(*log);
  if (arguments.verb == "trace") return trace(*log, arguments.trace);
  if (arguments.verb == "index") return make_index(*log, arguments.shards);
  if (arguments.index < 0) {
    return base::usage_error("prove needs the number of an entry", "--entry",
                             "retort ledger show lists them");
  }
  return prove(*log, arguments.index);
}

}  // namespace

Command ledger_command() {
  auto arguments = std::make_shared<LedgerArguments>();
  Command command;
  command.name = "ledger";
  command.summary = "the log of terms, shards and verdicts: verify, show, prove, trace";
  command.examples =
      "  retort ledger verify\n  retort ledger show\n  retort ledger prove --entry 3\n"
      "  retort ledger trace --door https://api.example.com/v1\n"
      "  retort ledger trace --terms 4f1c09aa --proofs evidence";
  command.declare = [arguments](CLI::App& app) {
    app.add_option("VERB", arguments->verb, "verify, show, prove, trace or index")
        ->required()
        ->check(CLI::IsMember({"verify", "show", "prove", "trace", "index"}));
    app.add_option("--ledger", arguments->folder, "its folder; the nearest one upwards without");
    app.add_option("--entry", arguments->index, "number of the entry to prove");
    auto& of = arguments->trace;
    app.add_option("--terms", of.terms, "trace: what learnt under these terms, by their id");
    app.add_option("--door", of.door, "trace: through this door; its endpoint or provider");
    app.add_option("--record", of.record, "trace: from this record; its key, or SHARD:ROW");
    app.add_option("--declaration", of.declaration, "trace: leaning on this declaration");
    app.add_option("--model", of.model, "trace: from this model; its file, digest or model_id");
    app.add_option("--proofs", of.proofs, "trace: a new folder for the answer and its proofs");
    app.add_option("--ids", of.ids, "trace: a file for the keys and places of the records");
    app.add_flag("--whole-shards", of.whole_shards,
                 "trace: of a record, from the log without the index");
    app.add_option("--shards", arguments->shards,
                   "index: folders with sealed shards; what lies beside the ledger without");
  };
  command.run = [arguments] { return run_ledger(*arguments); };
  return command;
}

}  // namespace retort::cli
