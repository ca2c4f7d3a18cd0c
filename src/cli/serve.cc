#include <CLI/CLI.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <set>

#include "admin/server.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/person.h"
#include "corpus/record.h"
#include "engine/engine.h"
#include "ledger/ledger.h"
#include "lineage/state.h"
#include "provider/provider.h"
#include "relay/upstream.h"
#include "serve/server.h"

namespace retort::cli {
namespace {

constexpr int64_t kLookMs = 50;  // how soon Ctrl-C is noticed

struct ServeArguments {
  std::vector<std::string> models;    // PATH or NAME=PATH
  std::vector<std::string> names;     // none, or one a model
  std::vector<std::string> adapters;  // NAME=FOLDER, of the one model
  std::string port_file;
  std::string ledger;      // "": the nearest ones upwards from here and from each model
  engine::Options engine;  // the cache is for all models together
  serve::Options door;
  std::string accounts;        // a folder; "": one key for all, or none
  std::string accounts_store;  // a server that keeps them; "": the folder
  admin::Options admin;
  int admin_port = -1;  // none
  std::string admin_port_file;
  std::vector<std::string> prices;         // NAME=INPUT/OUTPUT
  std::vector<std::string> upstreams;      // NAME=URL or NAME=URL#THEIR_NAME
  std::vector<std::string> upstream_keys;  // NAME=VARIABLE
  relay::Options upstream;                 // what all have in common
  int64_t upstream_timeout_s = 600;
};

struct NamedPath {
  std::string name;
  std::string path;
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

// A path that is there may hold an equals sign of its own.
NamedPath split_name(const std::string& given) {
  const size_t equals = given.find('=');
  if (equals == std::string::npos || std::filesystem::exists(given)) return {"", given};
  return {given.substr(0, equals), given.substr(equals + 1)};
}

struct Named {
  std::vector<NamedPath> models, adapters;
};

Result<void> check_distinct(const Named& named) {
  std::set<std::string> names;
  for (const auto* list : {&named.models, &named.adapters}) {
    for (const NamedPath& one : *list) {
      if (names.insert(one.name).second) continue;
      return base::usage_error("two models have one name: " + one.name, one.path,
                               "write NAME=PATH");
    }
  }
  return {};
}

Result<Named> name_all(const ServeArguments& arguments) {
  if (!arguments.names.empty() && arguments.names.size() != arguments.models.size()) {
    return base::usage_error(
        fmt::format("{} names for {} models", arguments.names.size(), arguments.models.size()),
        "model-id", "give one a model, in the same order, or none");
  }
  if (!arguments.adapters.empty() && arguments.models.size() > 1) {
    return base::usage_error("adapters go with one model, and there are several", "adapter",
                             "serve the model with its adapters by itself");
  }
  Named out;
  for (const std::string& given : arguments.models) {
    NamedPath model = split_name(given);
    if (!arguments.names.empty()) model.name = arguments.names[out.models.size()];
    if (model.name.empty()) model.name = name_of(model.path);
    out.models.push_back(std::move(model));
  }
  for (const std::string& given : arguments.adapters) {
    NamedPath adapter = split_name(given);
    if (adapter.name.empty()) adapter.name = name_of(adapter.path);
    out.adapters.push_back(std::move(adapter));
  }
  RETORT_TRY_VOID(check_distinct(out));
  return out;
}

// What a person wants to know of what was opened.
struct Opened {
  std::vector<serve::Model> models;
  int64_t memory_bytes = 0;
  int64_t context = 0;  // the shortest
};

Result<void> open_one(const ServeArguments& arguments, const NamedPath& named,
                      const std::vector<NamedPath>& adapters, Opened& opened) {
  engine::Options options = arguments.engine;
  options.kv_cache_bytes /= static_cast<int64_t>(arguments.models.size());
  for (const NamedPath& adapter : adapters) options.adapters.push_back(adapter.path);
  RETORT_TRY(auto owned, engine::Engine::open(named.path, options));
  const std::shared_ptr<engine::Engine> engine = std::move(owned);
  if (!engine->chat()) {
    // A name that a person gave is to be right; what a file holds is as it is.
    if (!arguments.engine.chat_template.empty()) return engine->chat().error();
    std::fprintf(stderr, "retort: no chat with %s, completions alone: %s\n", named.name.c_str(),
                 engine->chat().error().message.c_str());
  }
  opened.memory_bytes += engine->stats().memory_bytes;
  opened.context = opened.models.empty() ? engine->context_length()
                                         : std::min(opened.context, engine->context_length());
  opened.models.push_back({named.name, serve::engine_backend(engine)});
  for (const NamedPath& adapter : adapters) {
    const auto index = static_cast<int64_t>(&adapter - adapters.data());
    opened.models.push_back(
        {adapter.name, serve::engine_backend(engine, index), /*shares_engine=*/true});
  }
  return {};
}

// "NAME=VALUE", cut at the first equals sign.
Result<NamedPath> split_pair(const std::string& given, const char* flag, const char* hint) {
  const size_t equals = given.find('=');
  if (equals != std::string::npos && equals > 0 && equals + 1 < given.size()) {
    return NamedPath{given.substr(0, equals), given.substr(equals + 1)};
  }
  return base::usage_error("“" + given + "” names nothing", flag, hint);
}

// A key goes to the one server that it is for.
Result<std::map<std::string, std::string>> read_upstream_keys(const ServeArguments& arguments) {
  std::map<std::string, std::string> out;
  for (const std::string& given : arguments.upstream_keys) {
    RETORT_TRY(const auto pair, split_pair(given, "upstream-key", "NAME=VARIABLE"));
    out[pair.name] = pair.path;
  }
  return out;
}

Result<void> open_upstreams(const ServeArguments& arguments, Opened& opened) {
  RETORT_TRY(auto keys, read_upstream_keys(arguments));
  for (const std::string& given : arguments.upstreams) {
    RETORT_TRY(const auto pair, split_pair(given, "upstream", "NAME=https://HOST/v1"));
    relay::Options options = arguments.upstream;
    const size_t hash = pair.path.find('#');
    options.base_url = pair.path.substr(0, hash);
    options.model = hash == std::string::npos ? pair.name : pair.path.substr(hash + 1);
    options.timeout_ms = arguments.upstream_timeout_s * 1000;
    options.bounds.max_answers = arguments.door.max_answers;
    options.bounds.max_request_tokens = arguments.door.max_request_tokens;
    if (const auto key = keys.find(pair.name); key != keys.end()) {
      options.key_env = key->second;
      keys.erase(key);
    }
    RETORT_TRY(auto upstream, relay::Upstream::open(options));
    opened.models.push_back({pair.name, nullptr, /*shares_engine=*/false, std::move(upstream)});
  }
  if (keys.empty()) return {};
  return base::usage_error("a key for an upstream that there is not: " + keys.begin()->first,
                           "upstream-key", "NAME as --upstream has it");
}

// The logs that may know a model: the nearest one upwards from here, and from where it lies.
std::vector<std::string> ledgers_for(const std::string& given, const std::string& path) {
  if (!given.empty()) return {given};
  std::vector<std::string> out;
  const std::string above = base::parent(path);
  for (const std::string& start : {std::string("."), above.empty() ? std::string(".") : above}) {
    const auto found = ledger::find_ledger(start);
    if (!found) continue;
    std::error_code code;
    const bool known = std::any_of(out.begin(), out.end(), [&](const std::string& one) {
      return std::filesystem::equivalent(one, *found, code);
    });
    if (!known) out.push_back(*found);
  }
  return out;
}

// What was withdrawn from a model is said in the log that the model stands in. Models that share a
// log have it verified once.
Result<void> check_usable(const ServeArguments& arguments, const Named& named) {
  std::map<std::string, std::vector<std::string>> models_of;  // by the log's folder
  for (const auto* list : {&named.models, &named.adapters}) {
    for (const NamedPath& one : *list) {
      for (const std::string& folder : ledgers_for(arguments.ledger, one.path)) {
        models_of[folder].push_back(one.path);
      }
    }
  }
  for (const auto& [folder, models] : models_of) {
    RETORT_TRY(auto log, ledger::Ledger::open(folder, {.create = false}));
    RETORT_TRY_VOID(log->verify());
    for (const auto& model : models) {
      RETORT_TRY_VOID(lineage::check_usable(*log, model, "serve"));
    }
  }
  return {};
}

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

// The administration beside the door, where a port was given for it; null without.
Result<std::unique_ptr<admin::Server>> open_admin(const ServeArguments& arguments,
                                                  const serve::Server& door) {
  if (arguments.admin_port < 0) return std::unique_ptr<admin::Server>();
  admin::Options options = arguments.admin;
  options.accounts = arguments.accounts;
  options.store = arguments.accounts_store;
  options.port = arguments.admin_port;
  options.traffic = [&door] { return door.traffic(); };
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

Result<void> check_admin(const ServeArguments& arguments) {
  if (arguments.admin_port < 0 || !arguments.accounts.empty()) return {};
  return base::usage_error("an administration needs accounts to administer", "admin-port",
                           "give it --accounts FOLDER");
}

Result<void> serve_until_stopped(ServeArguments arguments) {
  arguments.door.max_batch = arguments.engine.max_batch;
  arguments.engine.turns = std::make_shared<engine::Turns>();
  // Before a model is read: a wrong address or name should not cost a minute.
  RETORT_TRY(auto provider, open_provider(arguments));
  RETORT_TRY_VOID(serve::check(arguments.door, provider != nullptr));
  RETORT_TRY_VOID(check_admin(arguments));
  RETORT_TRY(const auto named, name_all(arguments));
  RETORT_TRY_VOID(check_usable(arguments, named));
  Opened opened;
  for (const NamedPath& model : named.models) {
    RETORT_TRY_VOID(open_one(arguments, model, named.adapters, opened));
  }
  RETORT_TRY_VOID(open_upstreams(arguments, opened));
  const std::string names = names_of(opened.models);
  RETORT_TRY(const auto server,
             serve::Server::start(arguments.door, std::move(opened.models), std::move(provider)));
  say_hello(arguments, server->port(), opened, names);
  RETORT_TRY(const auto admin, open_admin(arguments, *server));
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

void declare_serve(CLI::App& app, ServeArguments& arguments) {
  app.add_option("--model", arguments.models,
                 "a GGUF file or a Hugging Face folder, or NAME=PATH; several times for several")
      ->allow_extra_args(false);
  app.add_option("--upstream", arguments.upstreams,
                 "NAME=https://HOST/v1: another server of this API answers for NAME, here under "
                 "the same accounts; NAME=URL#THEIRS where it has another name there")
      ->allow_extra_args(false);
  app.add_option("--upstream-key", arguments.upstream_keys,
                 "NAME=VARIABLE: the environment variable with the key for that server")
      ->allow_extra_args(false);
  app.add_option("--upstream-max-tokens", arguments.upstream.bounds.max_tokens,
                 "of one answer of an upstream, and what is asked for where a request names none")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  app.add_option("--upstream-timeout", arguments.upstream_timeout_s,
                 "seconds that an upstream has for a whole answer")
      ->check(CLI::Range(int64_t{1}, int64_t{86'400}))
      ->capture_default_str();
  app.add_option("--model-id", arguments.names,
                 "the name that requests give, one a model; from the path when left out")
      ->allow_extra_args(false);
  app.add_option("--adapter", arguments.adapters,
                 "NAME=FOLDER: an adapter of low rank as PEFT writes it, served under that name "
                 "beside the one model; several times for several")
      ->allow_extra_args(false);
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
  app.add_option(
      "--accounts", arguments.accounts,
      "folder of accounts (retort account): every key is one of theirs, with its limits");
  declare_store(app, arguments.accounts_store);
  app.add_option("--admin-port", arguments.admin_port,
                 "port of the administration and its console, for keys of the kind admin alone "
                 "(docs/reference/admin.md); 0: the system picks one; none without")
      ->check(CLI::Range(0, 65'535));
  app.add_option("--admin-host", arguments.admin.host, "address that the administration listens on")
      ->capture_default_str();
  app.add_option("--admin-name", arguments.admin.names,
                 "a name that the administration answers to beside localhost, where a proxy stands "
                 "in front of it")
      ->allow_extra_args(false);
  app.add_option("--admin-port-file", arguments.admin_port_file,
                 "gets the administration's port as one line");
  app.add_option("--price", arguments.prices,
                 "NAME=INPUT/OUTPUT: what a million tokens of a model's prompts and answers cost, "
                 "for limits in money")
      ->allow_extra_args(false);
  app.add_option("--chat-template", arguments.engine.chat_template,
                 "how conversations are written, in place of what the models' files say: " +
                     tokenizer::chat_template_names());
  app.add_option("--max-batch", arguments.engine.max_batch, "answers that a model works on at once")
      ->check(CLI::Range(int64_t{1}, int64_t{4096}))
      ->capture_default_str();
  app.add_option("--max-waiting", arguments.door.max_waiting,
                 "answers that may wait beyond, of a model; further requests get 429")
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
                 "bytes for the attention caches of all models together, in equal parts; never "
                 "passed; also 512MiB, 2GiB")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false))
      ->capture_default_str();
  app.add_flag("--exact", arguments.engine.exact, "all products in fp32: slower, to compare with");
  app.add_option("--ledger", arguments.ledger,
                 "the log that says which models are frozen; without, the nearest folders of that "
                 "name upwards from here and from each model");
  app.add_option("--terms", arguments.door.terms_url,
                 "address of the terms that bind the answers; sent with each");
  app.add_option("--content-usage", arguments.door.content_usage,
                 "their short form (IETF AIPREF), as train-ai=n; sent likewise");
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
