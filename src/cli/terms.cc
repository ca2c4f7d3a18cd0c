#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/terms_verbs.h"
#include "pipeline/run.h"
#include "terms/evaluate.h"
#include "terms/terms.h"

namespace retort::cli {
namespace {

std::string patterns(const std::vector<std::string>& list) {
  if (list.empty()) return "any";
  std::string out;
  for (const auto& text : list) out += (out.empty() ? "" : ", ") + text;
  return out;
}

void show(const terms::Terms& t) {
  std::printf("%s, by %s\n", t.label().c_str(), t.assigner.c_str());
  std::printf("  id         %s\n", t.id.c_str());
  std::printf("  binds      answers of %s; models %s\n", patterns(t.applies.endpoints).c_str(),
              patterns(t.applies.models).c_str());
  std::printf("  from       %s%s\n", base::iso_date(t.effective_ms).c_str(),
              t.until.empty() ? "" : (" until " + t.until).c_str());
  std::printf("  source     %s (%s)\n", t.url.c_str(), terms::name(t.basis));
  std::printf("  read by    %s%s; not legal advice\n",
              t.reader.empty() ? "nobody" : t.reader.c_str(),
              t.pinned ? ", shipped with retort" : "");
  for (const auto& rule : t.rules) {
    std::printf("  %-9s %s of %s%s%s%s%s\n", terms::name(rule.effect), terms::name(rule.action),
                terms::name(rule.object),
                rule.scope == terms::Scope::any
                    ? ""
                    : fmt::format(", where {}", terms::name(rule.scope)).c_str(),
                rule.clause.empty() ? "" : fmt::format(" [{}]", rule.clause).c_str(),
                rule.text.empty() ? "" : ": ", rule.text.c_str());
  }
}

Result<void> show_files(const TermsArguments& arguments) {
  for (const auto& file : arguments.files) {
    RETORT_TRY(const auto terms, terms::load_terms(pipeline::shipped(file)));
    show(terms);
  }
  return {};
}

Result<void> check(const TermsArguments& arguments) {
  for (const auto& file : arguments.files) {
    RETORT_TRY(auto run, pipeline::load_run({.path = file}));
    RETORT_TRY(const auto text, pipeline::verdict_text(run));
    std::fputs(text.words.c_str(), stdout);
    if (text.refusal) return *text.refusal;
  }
  return {};
}

struct Verb {
  const char* name;
  Result<void> (*run)(const TermsArguments&);
};
constexpr Verb kVerbs[] = {
    {"show", show_files}, {"lint", lint_files},
    {"hash", hash_files}, {"export", export_file},
    {"check", check},     {"explain", explain},
    {"declare", declare}, {"sign", sign},
    {"log", log_signed},  {"declarations", list_declarations},
    {"revoke", revoke},
};

Result<void> run_terms(const TermsArguments& arguments) {
  if (arguments.files.empty() && arguments.verb != "declarations") {
    return base::usage_error(arguments.verb + " of what?", "FILE", "retort terms --help");
  }
  for (const Verb& verb : kVerbs) {
    if (arguments.verb == verb.name) return verb.run(arguments);
  }
  return {};
}

std::vector<std::string> verb_names() {
  std::vector<std::string> names;
  for (const Verb& verb : kVerbs) names.emplace_back(verb.name);
  return names;
}

}  // namespace

Command terms_command() {
  auto arguments = std::make_shared<TermsArguments>();
  Command command;
  command.name = "terms";
  command.summary = "what terms say, whether they permit a run, and what people declare about them";
  command.examples =
      "  retort terms show terms/smollm2-apache.toml\n"
      "  retort terms lint terms/*.toml   (exit code 4 when one of them is wrong)\n"
      "  retort terms export terms/openai-api-2026-01-01.toml --format odrl\n"
      "  retort terms check examples/quickstart.toml   (exit code 3 when it is refused)\n"
      "  retort terms explain runs/quickstart/student   (or a run file, or SHARD:ROW)\n"
      "  retort terms declare run.toml --declarant NAME --statement \"…\" --max-records 5000 \\\n"
      "    --valid-until 2027-03-31\n"
      "  retort terms sign declaration.json --key counsel.pem\n"
      "  retort terms log declaration.json.signed --decider counsel.pub\n"
      "  retort terms revoke ID --declarant NAME --reason \"…\"";
  command.declare = [arguments](CLI::App& app) {
    auto& a = *arguments;
    app.add_option("VERB", a.verb,
                   "show, lint or hash FILES, export FILE, check RUN, explain RUN, MODEL or "
                   "SHARD:ROW; declare RUN, sign STATEMENT or FILE, log SIGNED, declarations, "
                   "revoke ID")
        ->required()
        ->check(CLI::IsMember(verb_names()));
    app.add_option("FILE", a.files, "terms files, a run file, a model, a statement, an id");
    app.add_option("--ledger", a.ledger, "folder of the log; the nearest one upwards without");
    app.add_option("--format", a.format, "export: odrl, aipref, rsl or tdmrep");
    app.add_option("--key", a.key, "sign: the person's private key (ECDSA P-256, PEM)");
    app.add_option("--out", a.out, "declare, sign, export: the file to write");
    app.add_option("--decider", a.deciders,
                   "log, declarations, explain: PEM files with public keys");
    app.add_option("--declarant", a.declarant, "declare, revoke: who says so");
    app.add_option("--role", a.role, "declare: counsel or owner");
    app.add_option("--statement", a.statement, "declare: the person's words");
    app.add_option("--max-records", a.max_records, "declare: for how many records it counts");
    app.add_option("--valid-until", a.valid_until, "declare: the last day it counts, 2027-03-31");
    app.add_option("--reason", a.reason, "revoke: why");
  };
  command.run = [arguments] { return run_terms(*arguments); };
  return command;
}

}  // namespace retort::cli
