#include "engine/engine.h"

#include <fmt/core.h>

#include <algorithm>
#include <future>

#include "base/files.h"
#include "engine/scheduler_internal.h"
#include "engine/validate_internal.h"
#include "model/model_file.h"

namespace retort::engine {
namespace {

constexpr int64_t kContextMax = 8192;

Result<std::shared_ptr<const tokenizer::Tokenizer>> tokenizer_of(const model::ModelFile& file) {
  if (file.gguf() != nullptr) return tokenizer::load_tokenizer_gguf(*file.gguf());
  return tokenizer::load_tokenizer_json(base::join(file.path(), "tokenizer.json"));
}

}  // namespace

struct Engine::Impl {
  Impl(std::unique_ptr<Source> source, std::shared_ptr<const tokenizer::Tokenizer> its_tokenizer,
       const Options& options)
      : weights(std::move(source), options.exact),
        tokenizer(std::move(its_tokenizer)),
        chat(tokenizer::ChatFormat::detect(*tokenizer, options.chat_template)) {}

  // The cache takes what the options allow, but no more than the batch could ever use.
  Result<void> start(const Options& options) {
    const model::Config& config = weights.config();
    if (options.max_batch < 1 || options.max_batch > 1024) {
      return base::usage_error(fmt::format("a batch of {} is not possible", options.max_batch),
                               "max_batch", "take 1 to 1024");
    }
    context_length = options.context_length > 0 ? options.context_length
                                                : std::min(config.max_positions, kContextMax);
    if (context_length > config.max_positions) {
      return base::usage_error(fmt::format("the model has {} positions, {} are asked for",
                                           config.max_positions, context_length),
                               "context_length");
    }
    RETORT_TRY(adapters, load_adapters(options.adapters, config));
    const int64_t per_row =
        (context_length + kernels::kPagePositions - 1) / kernels::kPagePositions;
    const int64_t page_bytes = KvPool::page_bytes(config, weights.numbers());
    const int64_t affordable = options.kv_cache_bytes / page_bytes;
    const int64_t pages = std::min(affordable, 2 * per_row * options.max_batch);
    if (pages < 1) {
      return base::usage_error(fmt::format("a cache of {} bytes holds no page of {} bytes",
                                           options.kv_cache_bytes, page_bytes),
                               "kv_cache_bytes", "give it more memory");
    }
    context_length = std::min(context_length, pages * kernels::kPagePositions);
    scheduler = std::make_unique<Scheduler>(Scheduler::Parts{weights, adapters, *tokenizer},
                                            options, context_length, pages);
    return {};
  }

  RequestLimits limits() const {
    return {weights.config().vocab, context_length, std::ssize(adapters)};
  }

  EngineWeights weights;
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer;
  Result<tokenizer::ChatFormat> chat;
  int64_t context_length = 0;
  EngineAdapters adapters;
  std::unique_ptr<Scheduler> scheduler;
};

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::open(const std::string& path, const Options& options) {
  RETORT_TRY_VOID(tokenizer::check_chat_template(options.chat_template));
  RETORT_TRY(auto file, model::ModelFile::open(path));
  RETORT_TRY(auto tokenizer, tokenizer_of(file));
  if (tokenizer->size() > file.config().vocab) {
    return base::bad_input(fmt::format("the tokenizer has {} tokens, the model {}",
                                       tokenizer->size(), file.config().vocab),
                           path, "they belong to different models");
  }
  auto impl = std::make_unique<Impl>(file_source(std::move(file)), tokenizer, options);
  RETORT_TRY_VOID(impl->start(options));
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

Result<std::unique_ptr<Engine>> Engine::from_weights(
    const model::Weights& weights, std::shared_ptr<const tokenizer::Tokenizer> tokenizer,
    const Options& options) {
  if (tokenizer->size() > weights.config().vocab) {
    return base::bad_input(fmt::format("the tokenizer has {} tokens, the model {}",
                                       tokenizer->size(), weights.config().vocab));
  }
  auto impl = std::make_unique<Impl>(memory_source(weights), tokenizer, options);
  RETORT_TRY_VOID(impl->start(options));
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

const tokenizer::Tokenizer& Engine::tokenizer() const {
  return *impl_->tokenizer;
}
const Result<tokenizer::ChatFormat>& Engine::chat() const {
  return impl_->chat;
}
const model::Config& Engine::config() const {
  return impl_->weights.config();
}
int64_t Engine::context_length() const {
  return impl_->context_length;
}
Stats Engine::stats() const {
  return impl_->scheduler->stats();
}
void Engine::cancel(RequestId id) {
  impl_->scheduler->cancel(id);
}

Result<RequestId> Engine::submit(Request request) {
  RETORT_TRY_VOID(validate(request, impl_->limits()));
  return impl_->scheduler->submit(std::make_unique<Sequence>(0, std::move(request)));
}

Result<Engine::Answer> Engine::generate(Request request) {
  Answer answer;
  std::promise<void> done;
  request.on_event = [&](const Event& event) {
    answer.tokens.insert(answer.tokens.end(), event.tokens.begin(), event.tokens.end());
    answer.text += event.text;
    if (!event.done) return;
    answer.finish_reason = event.finish_reason;
    answer.prompt_tokens = event.prompt_tokens;
    done.set_value();
  };
  RETORT_TRY_VOID(submit(std::move(request)));
  done.get_future().wait();
  return answer;
}

Result<std::vector<float>> Engine::logits(const std::vector<tokenizer::TokenId>& prompt) {
  std::vector<float> out;
  std::promise<void> done;
  Request request;
  request.prompt = prompt;
  request.max_tokens = 0;
  request.prompt_logprobs = 0;
  request.on_event = [&](const Event& event) {
    if (event.done) done.set_value();
  };
  RETORT_TRY_VOID(validate(request, impl_->limits()));
  request.prompt_logprobs = -1;
  auto sequence = std::make_unique<Sequence>(0, std::move(request));
  sequence->logits_out = &out;
  impl_->scheduler->submit(std::move(sequence));
  done.get_future().wait();
  return out;
}

Result<std::vector<float>> Engine::decode_logits(const std::vector<tokenizer::TokenId>& tokens) {
  std::vector<float> out;
  std::promise<void> done;
  Request request;
  request.prompt = tokens;
  request.max_tokens = 1;
  request.on_event = [&](const Event& event) {
    if (event.done) done.set_value();
  };
  RETORT_TRY_VOID(validate(request, impl_->limits()));
  request.prompt.resize(1);
  request.max_tokens = std::ssize(tokens);
  auto sequence = std::make_unique<Sequence>(0, std::move(request));
  // Behind the last token anything may be said: its logits are the last that are wanted.
  sequence->given.assign(tokens.begin() + 1, tokens.end());
  sequence->given.push_back(tokens.back());
  sequence->given_logits = &out;
  impl_->scheduler->submit(std::move(sequence));
  done.get_future().wait();
  return out;
}

}  // namespace retort::engine
