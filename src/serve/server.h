// OpenAI's API over one model or several: chat, completions, models, with streaming; /tokenize,
// /detokenize, /health and /metrics beside them. Every refusal is an error body that OpenAI's
// clients read.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "json/value.h"
#include "provider/provider.h"
#include "relay/upstream.h"
#include "serve/backend.h"
#include "serve/options.h"

namespace retort::serve {

struct Model {
  std::string id;                    // the name that requests give
  std::unique_ptr<Backend> backend;  // null: the upstream answers
  // Its backend works on the engine of another model in the list, whose figures tell of both.
  bool shares_engine = false;
  std::unique_ptr<relay::Upstream> upstream = nullptr;
};

class Server {
 public:
  // One model or more, each under a name of its own.
  static Result<std::unique_ptr<Server>> start(const Options& options, std::vector<Model> models);
  // The same with accounts: every key is one of theirs, and Options::api_key is not looked at.
  static Result<std::unique_ptr<Server>> start(const Options& options, std::vector<Model> models,
                                               std::unique_ptr<provider::Provider> provider);
  ~Server();  // stops
  int port() const;
  // What goes through the door, for the administration: Traffic::print() (traffic_internal.h) with
  // "models" and how they stand. From any thread, before stop().
  json::Value traffic() const;
  // Takes no more requests, lets answers end for a few seconds, then cuts them. Blocks.
  void stop();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace retort::serve
