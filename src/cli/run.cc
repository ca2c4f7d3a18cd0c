#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "cli/program.h"
#include "pipeline/run.h"
#include "pipeline/run_file.h"

namespace retort::cli {
namespace {

struct RunArguments {
  pipeline::LoadRun load;
  bool plan = false;
};

// "--train.lr 3e-4", "--train.lr=3e-4"; a list takes several words.
std::vector<pipeline::Override> overrides_of(const std::vector<std::string>& words) {
  std::vector<pipeline::Override> out;
  for (const auto& word : words) {
    if (word.rfind("--", 0) == 0) {
      const size_t equals = word.find('=');
      out.emplace_back(word.substr(2, equals == std::string::npos ? equals : equals - 2),
                       std::vector<std::string>{});
      if (equals != std::string::npos) out.back().second.push_back(word.substr(equals + 1));
    } else if (out.empty()) {
      out.emplace_back(word, std::vector<std::string>{word});
    } else {
      out.back().second.push_back(word);
    }
  }
  return out;
}

void declare_run(CLI::App& app, RunArguments& arguments) {
  app.add_option("FILE", arguments.load.path, "the run file (TOML)")->required();
  app.add_flag("--smoke", arguments.load.smoke, "everything small: the whole run in a minute");
  app.add_flag("--plan", arguments.plan,
               "say cost, time, memory, disk and the verdict of the terms; ask and write nothing");
}

std::string command_line(const std::string& name, const RunArguments& arguments,
                         const std::vector<std::string>& rest) {
  std::string out = "retort " + name + " " + arguments.load.path;
  if (arguments.load.smoke) out += " --smoke";
  for (const auto& word : rest) out += " " + word;
  return out;
}

Command pipeline_command(const std::string& name, const std::string& stage,
                         const std::string& summary) {
  auto arguments = std::make_shared<RunArguments>();
  auto rest = std::make_shared<std::vector<std::string>>();
  Command command;
  command.name = name;
  command.summary = summary;
  command.examples = "  retort " + name + " run.toml\n  retort " + name +
                     " run.toml --train.lr 3e-4   (any key of the file as a flag)";
  if (stage.empty()) command.examples += "\n  retort run examples/quickstart.toml --plan";
  command.declare = [arguments](CLI::App& app) { declare_run(app, *arguments); };
  command.take_rest = [arguments, rest](const std::vector<std::string>& words) {
    *rest = words;
    arguments->load.overrides = overrides_of(words);
  };
  command.run = [arguments, rest, name, stage]() -> Result<void> {
    RETORT_TRY(auto options, pipeline::load_run(arguments->load));
    if (arguments->plan) {
      RETORT_TRY(const auto plan, pipeline::plan_text(options));
      std::fputs(plan.words.c_str(), stdout);
      if (plan.refusal) return *plan.refusal;
      return {};
    }
    pipeline::RunControl control;
    control.only_stage = stage;
    control.command = command_line(name, *arguments, *rest);
    control.json = globals().json;
    control.collective = collective();
    return pipeline::run(std::move(options), control);
  };
  return command;
}

}  // namespace

Command run_command() {
  return pipeline_command("run", "", "the whole pipeline of a run file, each stage resumable");
}

Command stage_command(const std::string& name, const std::string& stage,
                      const std::string& summary) {
  return pipeline_command(name, stage, summary);
}

}  // namespace retort::cli
