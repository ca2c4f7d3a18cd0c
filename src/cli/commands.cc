#include <cstdio>

#include "cli/command.h"

namespace retort::cli {

Globals& globals() {
  static Globals instance;
  return instance;
}

void print_json(const json::Value& value) {
  std::printf("%s\n", json::dump(value).c_str());
}

std::vector<Command> commands() {
  return {
      run_command(),
      init_command(),
      stage_command("collect", "collect", "ask the teacher; the first stage of a run file"),
      stage_command("curate", "curate", "filter, deduplicate and split the answers"),
      stage_command("train", "train", "train the student (and its tokenizer)"),
      stage_command("eval", "evaluate", "measure the student against teacher and n-gram"),
      stage_command("export", "export", "write the student as Hugging Face folder and GGUF"),
      report_command(),
      runs_command(),
      serve_command(),
      chat_command(),
      score_command(),
      terms_command(),
      ledger_command(),
      bom_command(),
      sign_command(),
      verify_command(),
      account_command(),
      case_command(),
      policy_command(),
      docs_command(),
  };
}

}  // namespace retort::cli
