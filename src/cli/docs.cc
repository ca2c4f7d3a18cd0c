#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "pipeline/run_options.h"

namespace retort::cli {
namespace {

std::string escaped_cell(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) {
    text.insert(at, "\\");
  }
  return text;
}

std::string command_page(const Command& command) {
  CLI::App app(command.summary, command.name);
  bool flag = false;
  app.add_flag("--json", flag, "print the result as JSON on stdout");
  app.add_flag("--quiet", flag, "no progress lines");
  command.declare(app);
  std::string out = fmt::format(
      "\n## retort {}\n{}.\n\n| argument | meaning | default |\n"
      "|---|---|---|\n",
      command.name, command.summary);
  for (const CLI::Option* option : app.get_options()) {
    out += fmt::format("| `{}` | {} | {} |\n", option->get_name(false, true),
                       escaped_cell(option->get_description()),
                       escaped_cell(option->get_default_str()));
  }
  if (!command.examples.empty()) out += "\n```\n" + command.examples + "\n```\n";
  return out;
}

std::string cli_page() {
  std::string out =
      "# Commands\nPrinted by `retort docs cli`; do not edit.\n\n"
      "Exit codes: 0 done, 2 usage, 3 refused by terms, 4 bad input, 5 upstream, 6 storage, "
      "7 budget\nreached, 8 refused by a gate, 70 internal, 130 interrupted.\n";
  for (const auto& command : commands()) out += command_page(command);
  return out;
}

std::string default_cell(const base::Options& table, const base::Option& option) {
  std::string out;
  for (const auto& text : table.value_texts(option)) {
    out += (out.empty() ? "" : ", ") + text;
  }
  return out.empty() ? "" : "`" + escaped_cell(out) + "`";
}

std::string run_file_page() {
  pipeline::RunOptions defaults;
  const base::Options table = pipeline::describe(defaults);
  std::string out =
      "# The run file\nPrinted by `retort docs run-file`; do not edit.\n\n"
      "One TOML file describes a run; each table holds the options of one stage, and the same\n"
      "options are flags (`--train.lr 3e-4`). Paths are relative to where retort is started.\n";
  std::string last = "-";
  for (const auto& option : table.all()) {
    const size_t dot = option.name.find('.');
    const std::string group = dot == std::string::npos ? "" : option.name.substr(0, dot);
    if (group != last) {
      out += group.empty() ? "\n## Top\n" : fmt::format("\n## [{}]\n", group);
      out += "| key | meaning | default |\n|---|---|---|\n";
      last = group;
    }
    const std::string key = group.empty() ? option.name : option.name.substr(dot + 1);
    out += fmt::format("| `{}` | {} | {} |\n", key, escaped_cell(option.help),
                       default_cell(table, option));
  }
  return out;
}

}  // namespace

Command docs_command() {
  auto page = std::make_shared<std::string>();
  Command command;
  command.name = "docs";
  command.summary = "print a reference page: cli or run-file";
  command.examples = "  retort docs run-file";
  command.declare = [page](CLI::App& app) {
    app.add_option("PAGE", *page, "cli or run-file")
        ->required()
        ->check(CLI::IsMember({"cli", "run-file"}));
  };
  command.run = [page]() -> Result<void> {
    const std::string text = *page == "cli" ? cli_page() : run_file_page();
    std::fwrite(text.data(), 1, text.size(), stdout);
    return {};
  };
  return command;
}

}  // namespace retort::cli
