#include "serve/backend.h"

namespace retort::serve {
namespace {

class EngineBackend : public Backend {
 public:
  EngineBackend(std::shared_ptr<engine::Engine> engine, int64_t adapter)
      : engine_(std::move(engine)), adapter_(adapter) {}

  const tokenizer::Tokenizer& tokenizer() const override { return engine_->tokenizer(); }
  const Result<tokenizer::ChatFormat>& chat() const override { return engine_->chat(); }
  int64_t context_length() const override { return engine_->context_length(); }
  engine::Stats stats() const override { return engine_->stats(); }
  Result<engine::RequestId> submit(engine::Request request) override {
    request.adapter = adapter_;
    return engine_->submit(std::move(request));
  }
  void cancel(engine::RequestId id) override { engine_->cancel(id); }

 private:
  std::shared_ptr<engine::Engine> engine_;
  int64_t adapter_;
};

}  // namespace

std::unique_ptr<Backend> engine_backend(std::shared_ptr<engine::Engine> engine, int64_t adapter) {
  return std::make_unique<EngineBackend>(std::move(engine), adapter);
}

}  // namespace retort::serve
