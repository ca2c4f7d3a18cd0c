// OpenAI's API over one model: chat, completions, models, with streaming; /tokenize, /detokenize,
// /health and /metrics beside them. Every refusal is an error body that OpenAI's clients read.
#pragma once
#include <memory>

#include "base/result.h"
#include "serve/backend.h"
#include "serve/options.h"

namespace retort::serve {

class Server {
 public:
  static Result<std::unique_ptr<Server>> start(const Options& options,
                                               std::unique_ptr<Backend> backend);
  ~Server();  // stops
  int port() const;
  // Takes no more requests, lets answers end for a few seconds, then cuts them. Blocks.
  void stop();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace retort::serve
