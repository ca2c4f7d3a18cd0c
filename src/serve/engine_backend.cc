#include "serve/backend.h"

namespace retort::serve {
namespace {

class EngineBackend : public Backend {
 public:
  explicit EngineBackend(std::unique_ptr<engine::Engine> engine) : engine_(std::move(engine)) {}

  const tokenizer::Tokenizer& tokenizer() const override { return engine_->tokenizer(); }
  const Result<tokenizer::ChatFormat>& chat() const override { return engine_->chat(); }
  int64_t context_length() const override { return engine_->context_length(); }
  engine::Stats stats() const override { return engine_->stats(); }
  Result<engine::RequestId> submit(engine::Request request) override {
    return engine_->submit(std::move(request));
  }
  void cancel(engine::RequestId id) override { engine_->cancel(id); }

 private:
  std::unique_ptr<engine::Engine> engine_;
};

}  // namespace

std::unique_ptr<Backend> engine_backend(std::unique_ptr<engine::Engine> engine) {
  return std::make_unique<EngineBackend>(std::move(engine));
}

}  // namespace retort::serve
