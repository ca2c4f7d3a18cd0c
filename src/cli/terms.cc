#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

#include "base/clock.h"
#include "cli/command.h"
#include "pipeline/run.h"
#include "terms/evaluate.h"
#include "terms/terms.h"

namespace retort::cli {
namespace {

struct TermsArguments {
  std::string verb;
  std::string file;
};

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

Result<void> run_terms(const TermsArguments& arguments) {
  if (arguments.verb == "show") {
    RETORT_TRY(const auto terms, terms::load_terms(pipeline::shipped(arguments.file)));
    show(terms);
    return {};
  }
  RETORT_TRY(auto run, pipeline::load_run({.path = arguments.file}));
  RETORT_TRY(const auto text, pipeline::verdict_text(run));
  std::fputs(text.words.c_str(), stdout);
  if (text.refusal) return *text.refusal;
  return {};
}

}  // namespace

Command terms_command() {
  auto arguments = std::make_shared<TermsArguments>();
  Command command;
  command.name = "terms";
  command.summary =
      "what terms say (show FILE), and whether a run's purpose is permitted (check RUN)";
  command.examples =
      "  retort terms show terms/smollm2-apache.toml\n"
      "  retort terms check examples/quickstart.toml   (exit code 3 when it is refused)";
  command.declare = [arguments](CLI::App& app) {
    app.add_option("VERB", arguments->verb, "show or check")
        ->required()
        ->check(CLI::IsMember({"show", "check"}));
    app.add_option("FILE", arguments->file, "a terms file, or a run file")->required();
  };
  command.run = [arguments] { return run_terms(*arguments); };
  return command;
}

}  // namespace retort::cli
