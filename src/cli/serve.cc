#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/progress.h"
#include "cli/command.h"
#include "engine/engine.h"
#include "serve/server.h"

namespace retort::cli {
namespace {

constexpr int64_t kLookMs = 50;  // how soon Ctrl-C is noticed

struct ServeArguments {
  std::string model;
  std::string port_file;
  engine::Options engine;
  serve::Options door;
};

// "models/SmolLM2.Q4_1.gguf" is served as "SmolLM2.Q4_1", a folder under its own name.
std::string name_of(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  std::string name(base::base_name(path));
  constexpr std::string_view kEnding = ".gguf";
  if (name.size() > kEnding.size() && name.ends_with(kEnding)) {
    name.resize(name.size() - kEnding.size());
  }
  return name;
}

void say_hello(const ServeArguments& arguments, int port, const engine::Stats& stats,
               int64_t context) {
  const bool is_v6 = arguments.door.host.find(':') != std::string::npos;
  std::fprintf(stderr,
               "serving %s on http://%s%s%s:%d/v1 (%s MiB of memory, context %s, %s answers at "
               "once%s); Ctrl-C stops\n",
               arguments.door.model_id.c_str(), is_v6 ? "[" : "", arguments.door.host.c_str(),
               is_v6 ? "]" : "", port, base::grouped(stats.memory_bytes >> 20).c_str(),
               base::grouped(context).c_str(), base::grouped(arguments.door.max_batch).c_str(),
               arguments.door.api_key.empty() ? "" : ", with a key");
}

Result<void> serve_until_stopped(ServeArguments arguments) {
  if (arguments.door.model_id.empty()) arguments.door.model_id = name_of(arguments.model);
  arguments.door.max_batch = arguments.engine.max_batch;
  // Before the model is read: a wrong address should not cost a minute.
  RETORT_TRY_VOID(serve::check(arguments.door));
  RETORT_TRY(auto engine, engine::Engine::open(arguments.model, arguments.engine));
  const engine::Stats stats = engine->stats();
  const int64_t context = engine->context_length();
  if (!engine->chat()) {
    // A name that a person gave is to be right; what a file holds is as it is.
    if (!arguments.engine.chat_template.empty()) return engine->chat().error();
    std::fprintf(stderr, "retort: no chat with this model, completions alone: %s\n",
                 engine->chat().error().message.c_str());
  }
  RETORT_TRY(const auto server,
             serve::Server::start(arguments.door, serve::engine_backend(std::move(engine))));
  if (!arguments.port_file.empty()) {
    RETORT_TRY_VOID(
        base::write_file_atomic(arguments.port_file, std::to_string(server->port()) + "\n"));
  }
  say_hello(arguments, server->port(), stats, context);
  while (!base::cancelled()) base::system_clock().sleep_ms(kLookMs);
  std::fprintf(stderr, "stopping: answers under way have a few seconds\n");
  server->stop();
  // Being stopped is how a server's work ends, not how it fails.
  return {};
}

void declare_serve(CLI::App& app, ServeArguments& arguments) {
  app.add_option("--model", arguments.model, "a GGUF file or a Hugging Face folder")->required();
  app.add_option("--model-id", arguments.door.model_id,
                 "the name that requests give; from the path when left out");
  app.add_option("--host", arguments.door.host,
                 "address to listen on; any but loopback needs a key")
      ->capture_default_str();
  app.add_option("--port", arguments.door.port, "0: the system picks one")->capture_default_str();
  app.add_option("--port-file", arguments.port_file,
                 "gets the port as one line once requests are answered");
  app.add_option("--api-key", arguments.door.api_key,
                 "what clients must send; better in RETORT_API_KEY, where other users of the "
                 "machine do not see it; \"\" asks for none")
      ->envname("RETORT_API_KEY");
  app.add_option("--chat-template", arguments.engine.chat_template,
                 "how conversations are written, in place of what the model's file says: " +
                     tokenizer::chat_template_names());
  app.add_option("--max-batch", arguments.engine.max_batch, "answers worked on at once")
      ->check(CLI::Range(int64_t{1}, int64_t{4096}))
      ->capture_default_str();
  app.add_option("--max-waiting", arguments.door.max_waiting,
                 "answers that may wait beyond; further requests get 429")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 20))
      ->capture_default_str();
  app.add_option("--max-connections", arguments.door.max_connections,
                 "connections at once, idle ones among them; further ones get 503")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  app.add_option("--max-logprobs", arguments.door.max_logprobs,
                 "alternatives a token that a request may ask for; trainers that learn from "
                 "distributions want 100 and more")
      ->check(CLI::Range(int64_t{0}, engine::kTopLogprobsMax))
      ->capture_default_str();
  app.add_option("--context", arguments.engine.context_length,
                 "tokens of prompt and answer; 0: the model's own, at most 8192")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 24))
      ->capture_default_str();
  app.add_option("--kv-memory", arguments.engine.kv_cache_bytes,
                 "bytes for the attention cache, never passed; also 512MiB, 2GiB")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false))
      ->capture_default_str();
  app.add_flag("--exact", arguments.engine.exact, "all products in fp32: slower, to compare with");
  app.add_option("--terms", arguments.door.terms_url,
                 "address of the terms that bind the answers; sent with each");
  app.add_option("--content-usage", arguments.door.content_usage,
                 "their short form (IETF AIPREF), as train-ai=n; sent likewise");
}

}  // namespace

Command serve_command() {
  auto arguments = std::make_shared<ServeArguments>();
  arguments->door.model_id.clear();
  Command command;
  command.name = "serve";
  command.summary = "answer OpenAI's API with a model: chat, completions, models, metrics";
  command.examples =
      "  retort serve --model runs/quickstart/student\n"
      "  RETORT_API_KEY=... retort serve --model model.gguf --host 0.0.0.0 --port 8000\n"
      "  curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\\n"
      "    -d '{\"model\": \"student\", \"messages\": [{\"role\": \"user\", \"content\": "
      "\"Hi\"}]}'";
  command.declare = [arguments](CLI::App& app) { declare_serve(app, *arguments); };
  command.run = [arguments] { return serve_until_stopped(*arguments); };
  return command;
}

}  // namespace retort::cli
