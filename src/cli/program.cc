#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <optional>

#include "base/log.h"
#include "base/options.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/program.h"

namespace retort::cli {
namespace {

constexpr const char* kVersion = RETORT_VERSION;
constexpr const char* kAbout =
    "retort: model distillation with permission that travels with the data.\n"
    "Gather a teacher's answers, train an own model on them, measure it, run it, serve it.";

train::Collective* given_collective = nullptr;

void print_error(const Error& error) {
  std::fprintf(stderr, "retort: %s", error.message.c_str());
  if (!error.where.empty()) std::fprintf(stderr, "\n  where: %s", error.where.c_str());
  if (!error.hint.empty()) std::fprintf(stderr, "\n  what to do: %s", error.hint.c_str());
  std::fprintf(stderr, "\n");
}

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  for (const auto& name : known) {
    if (best.empty() || base::edit_distance(word, name) < base::edit_distance(word, best)) {
      best = name;
    }
  }
  return best;
}

// A first word that is no command, or a flag that the command has not got, before a parser could
// complain of something else: nothing misspelt may pass as another thing.
std::optional<Error> misspelt(int argc, char** argv, const std::vector<Command>& table,
                              const std::vector<CLI::App*>& apps) {
  if (argc < 2 || argv[1][0] == '-') return std::nullopt;
  std::vector<std::string> names;
  for (const auto& command : table) names.push_back(command.name);
  const auto found = std::find(names.begin(), names.end(), argv[1]);
  if (found == names.end()) {
    return base::usage_error(
        fmt::format("\"{}\" is no command", argv[1]), "",
        fmt::format("did you mean \"{}\"? retort --help lists them all", nearest(argv[1], names)));
  }
  const auto index = static_cast<size_t>(found - names.begin());
  if (table[index].take_rest) return std::nullopt;  // any key of a run file is a flag there
  std::vector<std::string> flags;
  for (const auto* option : apps[index]->get_options()) {
    for (const auto& name : option->get_lnames()) flags.push_back("--" + name);
  }
  for (int i = 2; i < argc; ++i) {
    const std::string_view word(argv[i]);
    const std::string flag(word.substr(0, word.find('=')));
    if (!flag.starts_with("--") || flag == "--") continue;
    if (std::find(flags.begin(), flags.end(), flag) != flags.end()) continue;
    return base::usage_error(fmt::format("retort {} has no flag {}", names[index], flag), "",
                             fmt::format("did you mean {}? retort {} --help lists them all",
                                         nearest(flag, flags), names[index]));
  }
  return std::nullopt;
}

int run_chosen(const Command& command, const CLI::App& parsed) {
  const auto rest = parsed.remaining();
  if (command.take_rest) {
    command.take_rest(rest);
  } else if (!rest.empty()) {
    print_error(base::usage_error("\"" + rest[0] + "\" is not known here", "",
                                  "retort " + command.name + " --help lists what is"));
    return 2;
  }
  if (globals().quiet) base::Progress::set_quiet(true);
  const auto done = command.run();
  if (done) return 0;
  print_error(done.error());
  return base::exit_code(done.error().code);
}

int dispatch(int argc, char** argv) {
  CLI::App app(kAbout, "retort");
  app.set_version_flag("--version", std::string("retort ") + kVersion);
  app.require_subcommand(0, 1);
  app.fallthrough(false);
  auto table = commands();
  std::vector<CLI::App*> parsed;
  for (auto& command : table) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    if (!command.examples.empty()) sub->footer("Examples:\n" + command.examples);
    sub->add_flag("--json", globals().json, "print the result as JSON on stdout");
    sub->add_flag("--quiet", globals().quiet, "no progress lines");
    sub->allow_extras();
    command.declare(*sub);
    parsed.push_back(sub);
  }
  if (const auto wrong = misspelt(argc, argv, table, parsed)) {
    print_error(*wrong);
    return base::exit_code(wrong->code);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& failure) {
    return app.exit(failure) == 0 ? 0 : 2;
  }
  for (size_t i = 0; i < table.size(); ++i) {
    if (parsed[i]->parsed()) return run_chosen(table[i], *parsed[i]);
  }
  std::fputs(app.help().c_str(), stdout);
  return argc > 1 ? 2 : 0;
}

}  // namespace

train::Collective* collective() {
  return given_collective;
}

int run_program(int argc, char** argv, train::Collective* collective) {
  given_collective = collective;
  try {
    return dispatch(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("retort: out of memory; give it more, or a smaller model or batch\n", stderr);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "retort: internal error: %s\n", failure.what());
  }
  return 70;
}

}  // namespace retort::cli
