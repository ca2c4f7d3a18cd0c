#include <CLI/CLI.hpp>

#include <fmt/core.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/serve_internal.h"
#include "corpus/record.h"
#include "provider/provider.h"
#include "provider/webhooks.h"

namespace retort::cli {
namespace {

constexpr int64_t kLookMs = 50;  // how soon Ctrl-C is noticed

std::string names_of(const std::vector<serve::Model>& models) {
  std::string out;
  for (const auto& model : models) out += (out.empty() ? "" : ", ") + model.id;
  return out;
}

void say_hello(const ServeArguments& arguments, int port, const Opened& opened,
               const std::string& names) {
  const bool is_v6 = arguments.door.host.find(':') != std::string::npos;
  const std::string engines =
      arguments.models.empty()
          ? ""
          : fmt::format("{} MiB of memory, context {}, ", base::grouped(opened.memory_bytes >> 20),
                        base::grouped(opened.context));
  std::fprintf(stderr,
               "serving %s on http://%s%s%s:%d/v1 (%s%s answers at once%s%s); Ctrl-C stops\n",
               names.c_str(), is_v6 ? "[" : "", arguments.door.host.c_str(), is_v6 ? "]" : "", port,
               engines.c_str(), base::grouped(arguments.door.max_batch).c_str(),
               arguments.models.size() > 1 ? " a model" : "",
               !arguments.accounts.empty()      ? ", with accounts"
               : arguments.door.api_key.empty() ? ""
                                                : ", with a key");
}

// "small=0.15/0.60": a million tokens of the prompt, a million of the answer.
Result<std::map<std::string, provider::Price>> read_prices(const std::vector<std::string>& given) {
  std::map<std::string, provider::Price> out;
  for (const std::string& one : given) {
    const size_t equals = one.rfind('=');
    const size_t slash = one.find('/', equals == std::string::npos ? 0 : equals);
    if (equals == std::string::npos || slash == std::string::npos) {
      return base::usage_error("“" + one + "” is no price", "price",
                               "NAME=INPUT/OUTPUT for a million tokens each: small=0.15/0.60");
    }
    provider::Price price;
    RETORT_TRY(price.input_micros,
               corpus::parse_micros(one.substr(equals + 1, slash - equals - 1)));
    RETORT_TRY(price.output_micros, corpus::parse_micros(one.substr(slash + 1)));
    out[one.substr(0, equals)] = price;
  }
  return out;
}

Result<std::unique_ptr<provider::Provider>> open_provider(const ServeArguments& arguments) {
  RETORT_TRY(auto prices, read_prices(arguments.prices));
  if (arguments.accounts.empty()) {
    if (!arguments.accounts_store.empty()) {
      return base::usage_error("accounts on a server need a folder of this machine's own as well",
                               "accounts-store",
                               "give it --accounts FOLDER: audit, detection and crash safety");
    }
    if (prices.empty()) return std::unique_ptr<provider::Provider>();
    return base::usage_error("prices are for accounts, and there are none", "price",
                             "give it --accounts FOLDER");
  }
  return provider::Provider::open({.folder = arguments.accounts,
                                   .store = arguments.accounts_store,
                                   .prices = std::move(prices)});
}

// The administration beside the door, where a port was given for it; null without. Who knocks there
// with a wrong key stands in the provider's audit, as one at the door does.
Result<std::unique_ptr<admin::Server>> open_admin(const ServeArguments& arguments,
                                                  const serve::Server& door,
                                                  provider::Provider* provider) {
  if (arguments.admin_port < 0) return std::unique_ptr<admin::Server>();
  admin::Options options = arguments.admin;
  options.accounts = arguments.accounts;
  options.store = arguments.accounts_store;
  options.port = arguments.admin_port;
  options.traffic = [&door] { return door.traffic(); };
  options.refused = [provider](const std::string& code) {
    provider->tell(nullptr, {.outcome = "admin_" + code});
  };
  RETORT_TRY(auto server, admin::Server::start(options));
  std::fprintf(stderr, "the administration and its console on http://%s:%d/\n",
               options.host.c_str(), server->port());
  RETORT_TRY(const bool has_keys, server->has_keys());
  if (!has_keys) {
    std::fprintf(stderr,
                 "retort: nobody holds a key that opens it: retort account issue ACCOUNT "
                 "--kind admin --label NAME\n");
  }
  if (!arguments.admin_port_file.empty()) {
    RETORT_TRY_VOID(
        base::write_file_atomic(arguments.admin_port_file, std::to_string(server->port()) + "\n"));
  }
  return server;
}

// Whoever is told of cases, where somebody is; null without.
Result<std::unique_ptr<provider::Webhooks>> open_webhooks(const ServeArguments& arguments) {
  if (arguments.webhook.empty()) return std::unique_ptr<provider::Webhooks>();
  if (arguments.accounts.empty()) {
    return base::usage_error("without accounts there are no cases to tell of", "webhook",
                             "give it --accounts FOLDER");
  }
  const char* secret = std::getenv("RETORT_WEBHOOK_SECRET");
  return provider::Webhooks::open({.folder = arguments.accounts,
                                   .store = arguments.accounts_store,
                                   .url = arguments.webhook,
                                   .secret = secret == nullptr ? "" : secret,
                                   .private_addresses = arguments.webhook_private});
}

Result<void> check_admin(const ServeArguments& arguments) {
  if (arguments.admin_port < 0 || !arguments.accounts.empty()) return {};
  return base::usage_error("an administration needs accounts to administer", "admin-port",
                           "give it --accounts FOLDER");
}

// Keys and prompts would lie in it.
void leave_no_core() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
}

Result<void> serve_until_stopped(ServeArguments arguments) {
  leave_no_core();
  arguments.door.max_batch = arguments.engine.max_batch;
  arguments.engine.turns = std::make_shared<engine::Turns>();
  // Before a model is read: a wrong address or name should not cost a minute.
  RETORT_TRY(auto provider, open_provider(arguments));
  RETORT_TRY_VOID(serve::check(arguments.door, provider != nullptr));
  RETORT_TRY_VOID(check_admin(arguments));
  RETORT_TRY(const auto webhooks, open_webhooks(arguments));
  RETORT_TRY(const auto named, name_all(arguments));
  RETORT_TRY_VOID(check_usable(arguments, named));
  RETORT_TRY(auto opened, open_models(arguments, named));
  const std::string names = names_of(opened.models);
  auto* const audited = provider.get();  // the server keeps it
  RETORT_TRY(const auto server,
             serve::Server::start(arguments.door, std::move(opened.models), std::move(provider)));
  say_hello(arguments, server->port(), opened, names);
  std::fputs(serve::warning(arguments.door).c_str(), stderr);
  RETORT_TRY(const auto admin, open_admin(arguments, *server, audited));
  // Last: whoever waits for this file finds everything else done.
  if (!arguments.port_file.empty()) {
    RETORT_TRY_VOID(
        base::write_file_atomic(arguments.port_file, std::to_string(server->port()) + "\n"));
  }
  while (!base::cancelled()) base::system_clock().sleep_ms(kLookMs);
  std::fprintf(stderr, "stopping: answers under way have a few seconds\n");
  if (admin) admin->stop();  // it looks at the door
  server->stop();
  // Being stopped is how a server's work ends, not how it fails.
  return {};
}

}  // namespace

Command serve_command() {
  auto arguments = std::make_shared<ServeArguments>();
  Command command;
  command.name = "serve";
  command.summary = "answer OpenAI's API with a model: chat, completions, models, metrics";
  command.examples =
      "  retort serve --model runs/quickstart/student\n"
      "  retort serve --model teacher=models/teacher.gguf --model runs/quickstart/student\n"
      "  retort serve --model small=model.gguf --accounts accounts --price small=0.15/0.60\n"
      "  retort serve --model small=model.gguf --accounts accounts "
      "--accounts-store postgresql://retort@db.example.com/retort\n"
      "  retort serve --model small=model.gguf --accounts accounts --admin-port 8081\n"
      "  retort serve --upstream large=https://api.example.com/v1 --upstream-key large=LARGE_KEY "
      "--accounts accounts\n"
      "  RETORT_API_KEY=... retort serve --model model.gguf --host 0.0.0.0 --port 8000\n"
      "  curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\\n"
      "    -d '{\"model\": \"student\", \"messages\": [{\"role\": \"user\", \"content\": "
      "\"Hi\"}]}'";
  command.declare = [arguments](CLI::App& app) { declare_serve(app, *arguments); };
  command.run = [arguments] { return serve_until_stopped(*arguments); };
  return command;
}

}  // namespace retort::cli
