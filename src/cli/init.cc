#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "base/files.h"
#include "cli/command.h"

namespace retort::cli {
namespace {

constexpr const char* kRunFile = R"(# A run file for your own prompts and your own teacher.
#   retort run {name} --plan     cost, time, memory and the verdict of the terms; asks nothing
#   retort run {name}            the whole run; Ctrl-C is safe, the same command goes on
# `retort docs run-file` explains every key; each is a flag as well: --train.lr 3e-4

out = "runs/mine"                      # everything the run writes

[teacher]
# An OpenAI-compatible endpoint:
base_url = "http://127.0.0.1:8080/v1"
# api_key_env = "TEACHER_API_KEY"      # the variable that holds the key; never the key itself
# or a GGUF file that the run serves itself on loopback:
# serve = "models/SmolLM2-135M-Instruct.Q4_1.gguf"
model = "SmolLM2-135M-Instruct"
# What binds the answers: read the provider's terms, write down your reading. Without one nothing
# trains. retort terms show terms/smollm2-apache.toml prints an example.
terms = ["terms/smollm2-apache.toml"]

[purpose]                              # what the student is for; there is no default
actions = ["store", "train.generative", "evaluate"]
model_id = "my-student"
distributed = false                    # will others get the weights?
commercial = false

[collect]
prompts = "prompts.jsonl"              # lines of {"prompt": "..."} or {"messages": [...]}
prompt_terms = ["terms/own-work.toml"] # prompts have terms too
concurrency = 8
temperature = 0.7
max_tokens = 256
# budget_usd = "5.00"                  # stops before it is passed; or budget_requests, _tokens
# price_prompt_usd = "0.15"            # per million tokens
# price_answer_usd = "0.60"

[curate]
held_out = 0.05

[tokenizer]
vocab_size = 4096

[student]
from = "scratch"                       # or a Hugging Face folder, or a GGUF
layers = 6
width = 256

[train]
epochs = 5
lr = 1e-3
seed = 1

[evaluate]
samples = 8

[export]
formats = ["safetensors", "gguf"]
)";

constexpr const char* kPrompts =
    "{\"prompt\": \"Explain in two sentences why the sky is blue.\"}\n"
    "{\"prompt\": \"Explain in two sentences how bread rises.\"}\n";

Result<void> write_new(const std::string& path, const std::string& text) {
  if (base::exists(path)) {
    return base::usage_error("the file is there already; it was not touched", path,
                             "give another name: retort init my-run.toml");
  }
  return base::write_file_atomic(path, text);
}

}  // namespace

Command init_command() {
  auto path = std::make_shared<std::string>("run.toml");
  Command command;
  command.name = "init";
  command.summary = "write a commented run file for your own prompts and teacher";
  command.examples = "  retort init\n  retort init my-run.toml";
  command.declare = [path](CLI::App& app) {
    app.add_option("FILE", *path, "where to write it")->capture_default_str();
  };
  command.run = [path]() -> Result<void> {
    std::string text = kRunFile;
    for (size_t at = text.find("{name}"); at != std::string::npos; at = text.find("{name}")) {
      text.replace(at, 6, *path);
    }
    RETORT_TRY_VOID(write_new(*path, text));
    std::fprintf(stderr, "wrote %s", path->c_str());
    const std::string prompts = base::join(base::parent(*path), "prompts.jsonl");
    if (!base::exists(prompts)) {
      RETORT_TRY_VOID(base::write_file_atomic(prompts, kPrompts));
      std::fprintf(stderr, " and %s with two example prompts", prompts.c_str());
    }
    std::fprintf(stderr, "\nnext: retort run %s --plan\n", path->c_str());
    return {};
  };
  return command;
}

}  // namespace retort::cli
