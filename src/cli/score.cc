#include <CLI/CLI.hpp>

#include <memory>

#include "cli/command.h"
#include "cli/score_lines.h"
#include "engine/engine.h"

namespace retort::cli {
namespace {

struct ScoreArguments {
  std::string model;
  ScoreOptions score;
  engine::Options engine;
};

void declare_score(CLI::App& app, ScoreArguments& arguments) {
  app.add_option("MODEL", arguments.model, "a GGUF file or a Hugging Face folder")->required();
  app.add_option("TEXTS", arguments.score.texts,
                 "JSONL: a \"text\", \"prompt\" and \"completion\", or \"tokens\" a line; an "
                 "\"id\" comes back")
      ->required();
  app.add_option("--out", arguments.score.out,
                 "write there instead of stdout; a file begun earlier is gone on with");
  app.add_option("--top", arguments.score.top, "likeliest tokens shown beside each")
      ->check(CLI::Range(int64_t{0}, engine::kTopLogprobsMax))
      ->capture_default_str();
  app.add_option("--in-flight", arguments.score.in_flight, "texts worked on at once")
      ->check(CLI::Range(int64_t{1}, int64_t{4096}))
      ->capture_default_str();
  app.add_option("--context", arguments.engine.context_length,
                 "longest text in tokens; 0: the model's own, at most 8192")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 24))
      ->capture_default_str();
  app.add_flag("--exact", arguments.engine.exact, "all products in fp32: slower, to compare with");
}

}  // namespace

Command score_command() {
  auto arguments = std::make_shared<ScoreArguments>();
  Command command;
  command.name = "score";
  command.summary = "log-probabilities of given text under a model, one JSON line a text";
  command.examples =
      "  retort score runs/quickstart/student texts.jsonl        (lines of {\"text\": ...})\n"
      "  retort score teacher.gguf pairs.jsonl --top 20 --out scores.jsonl";
  command.declare = [arguments](CLI::App& app) { declare_score(app, *arguments); };
  command.run = [arguments]() -> Result<void> {
    RETORT_TRY(auto engine, engine::Engine::open(arguments->model, arguments->engine));
    return score_lines(*engine, arguments->score);
  };
  return command;
}

}  // namespace retort::cli
