// What the door needs of the model that answers: the engine, or a scripted one in tests.
// Threads: as engine/engine.h says; every function from any thread, events on one compute thread.
#pragma once
#include <memory>

#include "engine/engine.h"

namespace retort::serve {

class Backend {
 public:
  virtual ~Backend() = default;  // the last events of what runs are delivered before it returns
  virtual const tokenizer::Tokenizer& tokenizer() const = 0;
  virtual const Result<tokenizer::ChatFormat>& chat() const = 0;
  virtual int64_t context_length() const = 0;
  virtual engine::Stats stats() const = 0;
  virtual Result<engine::RequestId> submit(engine::Request request) = 0;
  virtual void cancel(engine::RequestId id) = 0;
};

// The engine's model as it is, or under one of its adapters (engine::Options::adapters).
std::unique_ptr<Backend> engine_backend(std::shared_ptr<engine::Engine> engine,
                                        int64_t adapter = -1);

}  // namespace retort::serve
