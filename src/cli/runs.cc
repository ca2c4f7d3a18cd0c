#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

#include "base/clock.h"
#include "base/files.h"
#include "cli/command.h"
#include "pipeline/summary.h"
#include "report/report.h"

namespace retort::cli {
namespace {

struct RunsArguments {
  std::string verb;
  std::vector<std::string> folders;
};

constexpr const char* kStages[] = {"collect", "curate", "tokenizer", "train", "evaluate", "export"};

Result<void> list(const std::string& parent) {
  RETORT_TRY(const auto names, base::list_directory(parent));
  for (const auto& name : names) {
    const std::string out = base::join(parent, name);
    if (!base::exists(base::join(out, "run.toml"))) continue;
    std::string last = "not begun";
    int64_t when_ms = 0;
    for (const char* stage : kStages) {
      const auto summary = pipeline::read_summary(out, stage);
      if (!summary) continue;
      last = stage;
      when_ms = summary->finished_ms;
    }
    std::printf("%-32s %-10s %s\n", out.c_str(), last.c_str(),
                when_ms > 0 ? base::iso_time(when_ms).c_str() : "");
  }
  return {};
}

Result<void> run_runs(const RunsArguments& arguments) {
  if (arguments.verb == "list") {
    return list(arguments.folders.empty() ? "runs" : arguments.folders[0]);
  }
  if (arguments.folders.size() < 2) {
    return base::usage_error("compare needs two folders or more", "runs compare");
  }
  RETORT_TRY(const auto text, report::compare_text(arguments.folders));
  std::fputs(text.c_str(), stdout);
  return {};
}

}  // namespace

Command runs_command() {
  auto arguments = std::make_shared<RunsArguments>();
  Command command;
  command.name = "runs";
  command.summary = "what was run: list, or compare side by side";
  command.examples = "  retort runs list\n  retort runs compare runs/a runs/b";
  command.declare = [arguments](CLI::App& app) {
    app.add_option("VERB", arguments->verb, "list or compare")
        ->required()
        ->check(CLI::IsMember({"list", "compare"}));
    app.add_option("FOLDER", arguments->folders, "run folders; for list, the folder of folders");
  };
  command.run = [arguments] { return run_runs(*arguments); };
  return command;
}

Command report_command() {
  auto out = std::make_shared<std::string>();
  Command command;
  command.name = "report";
  command.summary = "write a run's page anew and print its tables";
  command.examples = "  retort report runs/quickstart";
  command.declare = [out](CLI::App& app) {
    app.add_option("OUT", *out, "the run's folder")->required();
  };
  command.run = [out]() -> Result<void> {
    RETORT_TRY_VOID(report::write_report(*out));
    RETORT_TRY(const auto text, report::summary_text(*out));
    std::fputs(text.c_str(), stdout);
    return {};
  };
  return command;
}

}  // namespace retort::cli
