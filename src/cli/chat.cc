#include <unistd.h>
#include <CLI/CLI.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <iostream>
#include <memory>
#include <mutex>

#include "base/cancel.h"
#include "base/progress.h"
#include "base/random.h"
#include "cli/command.h"
#include "engine/engine.h"

namespace retort::cli {
namespace {

constexpr const char* kWords = "/new begins again, Ctrl-C stops an answer, /quit (or Ctrl-D) ends.";

struct ChatArguments {
  std::string model;
  std::string system;
  std::string chat_template;
  double temperature = 0.7;
  double top_p = 0.9;
  double repetition_penalty = 1.15;
  int64_t max_tokens = 256;
  uint64_t seed = 0;
};

// Sends one turn and prints the answer as it comes; returns its text.
Result<std::string> answer(engine::Engine& engine, const ChatArguments& arguments,
                           const dialog::Messages& messages, uint64_t turn) {
  const auto& format = engine.chat();
  if (!format) return format.error();
  RETORT_TRY(auto rendered, format->render(engine.tokenizer(), messages, /*open_assistant=*/true));
  std::vector<tokenizer::TokenId> prompt = std::move(rendered.ids);
  const int64_t room = engine.context_length() - static_cast<int64_t>(prompt.size());
  if (room < 1) {
    return base::bad_input("the conversation no longer fits the model's context", "",
                           "type /new to begin another one");
  }
  std::mutex mutex;
  std::condition_variable ready;
  bool done = false;
  std::string text;
  std::string failure;
  engine::Request request;
  request.prompt = std::move(prompt);
  request.max_tokens = std::min(arguments.max_tokens, room);
  request.sampling = {.temperature = arguments.temperature,
                      .top_p = arguments.top_p,
                      .top_k = 0,
                      .repetition_penalty = arguments.repetition_penalty,
                      .seed = base::mix64(arguments.seed + turn)};
  request.stop_tokens = {format->stop_token()};
  request.on_event = [&](const engine::Event& event) {
    std::fwrite(event.text.data(), 1, event.text.size(), stdout);
    std::fflush(stdout);
    const std::lock_guard lock(mutex);
    text += event.text;
    if (event.done) {
      failure = event.error;
      done = true;
      ready.notify_one();
    }
  };
  RETORT_TRY(const auto id, engine.submit(std::move(request)));
  std::unique_lock lock(mutex);
  while (!ready.wait_for(lock, std::chrono::milliseconds(50), [&] { return done; })) {
    if (base::cancelled()) engine.cancel(id);
  }
  std::fputs("\n", stdout);
  if (!failure.empty()) return base::internal_error(failure);
  return text;
}

Result<void> converse(const ChatArguments& arguments) {
  engine::Options options;
  options.chat_template = arguments.chat_template;
  RETORT_TRY(auto engine, engine::Engine::open(arguments.model, options));
  const auto& format = engine->chat();
  if (!format) return format.error().at(arguments.model);
  const bool person = isatty(STDIN_FILENO) == 1;
  if (person) {
    std::fprintf(stderr, "%s, %s parameters. %s\n", arguments.model.c_str(),
                 base::grouped(engine->config().parameters()).c_str(), kWords);
  }
  dialog::Messages messages;
  const auto restart = [&] {
    messages.clear();
    if (!arguments.system.empty()) {
      messages.push_back({dialog::Role::system, arguments.system});
    }
  };
  restart();
  std::string line;
  for (uint64_t turn = 0; !base::cancelled(); ++turn) {
    if (person) std::fputs("> ", stderr);
    if (!std::getline(std::cin, line) || line == "/quit") break;
    if (line == "/new") restart();
    if (line.empty() || line == "/new") continue;
    if (person && line.starts_with("/")) {
      std::fprintf(stderr, "%s\n", kWords);
      continue;
    }
    messages.push_back({dialog::Role::user, line});
    auto text = answer(*engine, arguments, messages, turn);
    if (!text) return text.error();
    messages.push_back({dialog::Role::assistant, std::move(*text)});
    // A person who stops an answer wants to say something else; a script wants to end.
    if (person && base::cancelled()) base::reset_cancel();
  }
  if (base::cancelled()) return base::interrupted();
  return {};
}

}  // namespace

Command chat_command() {
  auto arguments = std::make_shared<ChatArguments>();
  base::secure_random(&arguments->seed, sizeof arguments->seed);
  Command command;
  command.name = "chat";
  command.summary = "talk to a model in the terminal";
  command.examples =
      "  retort chat runs/quickstart/student\n"
      "  echo 'Write a two-sentence story about a boat.' | retort chat runs/quickstart/student";
  command.declare = [arguments](CLI::App& app) {
    app.add_option("MODEL", arguments->model, "a GGUF file or a Hugging Face folder")->required();
    app.add_option("--system", arguments->system, "system message");
    app.add_option("--chat-template", arguments->chat_template,
                   "how conversations are written, in place of what the model's file says: " +
                       tokenizer::chat_template_names());
    app.add_option("--temperature", arguments->temperature, "0: always the likeliest token")
        ->capture_default_str();
    app.add_option("--top-p", arguments->top_p, "share of probability kept")->capture_default_str();
    app.add_option("--repetition-penalty", arguments->repetition_penalty,
                   "above 1: what was said is less likely")
        ->capture_default_str();
    app.add_option("--max-tokens", arguments->max_tokens, "longest answer")->capture_default_str();
    app.add_option("--seed", arguments->seed, "the same seed gives the same answers");
  };
  command.run = [arguments] { return converse(*arguments); };
  return command;
}

}  // namespace retort::cli
