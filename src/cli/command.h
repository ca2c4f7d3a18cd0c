// One command of the program: what it is called, what it takes, what it does. The table of all
// commands (commands.cc) gives the help, the generated reference page and main its dispatch.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "json/value.h"

namespace CLI {
class App;
}

namespace retort::cli {

struct Command {
  std::string name;
  std::string summary;                     // one line
  std::string examples;                    // shell lines, shown under the help
  std::function<void(CLI::App&)> declare;  // its arguments and flags
  std::function<Result<void>()> run;       // after parsing
  // Words that no flag declared: "--train.lr", "3e-4". Empty function: none are allowed.
  std::function<void(const std::vector<std::string>&)> take_rest;
};

std::vector<Command> commands();

// What every command heeds.
struct Globals {
  bool json = false;  // machine-readable result on stdout
  bool quiet = false;
};
Globals& globals();
void print_json(const json::Value& value);  // one line on stdout

Command run_command();
Command stage_command(const std::string& name, const std::string& stage,
                      const std::string& summary);
Command report_command();
Command init_command();
Command runs_command();
Command serve_command();
Command chat_command();
Command score_command();
Command terms_command();
Command ledger_command();
Command bom_command();
Command sign_command();
Command verify_command();
Command account_command();
Command case_command();
Command policy_command();
Command docs_command();

}  // namespace retort::cli
