#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <set>

#include "base/files.h"
#include "cli/open_ledger.h"
#include "cli/serve_internal.h"
#include "ledger/ledger.h"
#include "lineage/state.h"

namespace retort::cli {
namespace {

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

}  // namespace

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

namespace {

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

}  // namespace

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

Result<Opened> open_models(const ServeArguments& arguments, const Named& named) {
  Opened opened;
  for (const NamedPath& model : named.models) {
    RETORT_TRY_VOID(open_one(arguments, model, named.adapters, opened));
  }
  RETORT_TRY_VOID(open_upstreams(arguments, opened));
  return opened;
}

}  // namespace retort::cli
