#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/cancel.h"
#include "base/log.h"
#include "base/progress.h"
#include "cli/command.h"

namespace retort::cli {
namespace {

constexpr const char* kVersion = RETORT_VERSION;
constexpr const char* kAbout =
    "retort: model distillation with permission that travels with the data.\n"
    "Gather a teacher's answers, train an own model on them, measure it, run it, serve it.";

void print_error(const Error& error) {
  std::fprintf(stderr, "retort: %s", error.message.c_str());
  if (!error.where.empty()) std::fprintf(stderr, "\n  where: %s", error.where.c_str());
  if (!error.hint.empty()) std::fprintf(stderr, "\n  what to do: %s", error.hint.c_str());
  std::fprintf(stderr, "\n");
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
}  // namespace retort::cli

int main(int argc, char** argv) {
  retort::base::install_signal_handlers();
  try {
    return retort::cli::dispatch(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("retort: out of memory; give it more, or a smaller model or batch\n", stderr);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "retort: internal error: %s\n", failure.what());
  }
  return 70;
}
