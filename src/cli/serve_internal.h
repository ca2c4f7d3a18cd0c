// `retort serve` in parts: what is asked for, the models and upstreams that answer, and the door.
#pragma once
#include <CLI/CLI.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "admin/server.h"
#include "base/result.h"
#include "engine/engine.h"
#include "relay/upstream.h"
#include "serve/server.h"

namespace retort::cli {

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
  std::string webhook;  // "": nobody is told of cases
  bool webhook_private = false;
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

struct Named {
  std::vector<NamedPath> models, adapters;
};

// What a person wants to know of what was opened.
struct Opened {
  std::vector<serve::Model> models;
  int64_t memory_bytes = 0;
  int64_t context = 0;  // the shortest
};

void declare_serve(CLI::App& app, ServeArguments& arguments);

Result<Named> name_all(const ServeArguments& arguments);
// Refuses models that a log says are not to be used.
Result<void> check_usable(const ServeArguments& arguments, const Named& named);
Result<Opened> open_models(const ServeArguments& arguments, const Named& named);

}  // namespace retort::cli
