#include "engine/engine.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>

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

namespace {

// Where the compute thread leaves answers and a caller waits for them. Both hold it, so that a
// caller may leave before the last event.
class Gathered {
 public:
  explicit Gathered(size_t count) : answers_(count) {}

  void add(size_t index, const Event& event) {
    const std::lock_guard lock(mutex_);
    Engine::Answer& answer = answers_[index];
    answer.tokens.insert(answer.tokens.end(), event.tokens.begin(), event.tokens.end());
    // One more than tokens: of the stop token, which is none of the answer's.
    const size_t of_answer = std::min(event.chosen.size(), event.tokens.size());
    answer.chosen.insert(answer.chosen.end(), event.chosen.begin(),
                         event.chosen.begin() + static_cast<std::ptrdiff_t>(of_answer));
    if (event.chosen.size() > of_answer) answer.stop = event.chosen.back();
    answer.text += event.text;
    if (!event.done) return;
    answer.finish_reason = event.finish_reason;
    answer.prompt_tokens = event.prompt_tokens;
    if (event.finish_reason == "error" && error_.empty()) error_ = event.error;
    if (++done_ == answers_.size()) all_done_.notify_all();
  }
  // How many are done, after all are or a moment has passed.
  size_t wait() {
    std::unique_lock lock(mutex_);
    all_done_.wait_for(lock, std::chrono::milliseconds(100),
                       [&] { return done_ == answers_.size(); });
    return done_;
  }
  Result<std::vector<Engine::Answer>> take() {
    const std::lock_guard lock(mutex_);
    if (!error_.empty()) return base::internal_error("the model cannot answer: " + error_);
    return std::move(answers_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable all_done_;
  std::vector<Engine::Answer> answers_;  // guarded by mutex_, as what follows
  std::string error_;
  size_t done_ = 0;
};

}  // namespace

Result<Engine::Answer> Engine::generate(Request request) {
  std::vector<Request> one;
  one.push_back(std::move(request));
  RETORT_TRY(auto answers, generate_all(std::move(one), [](int64_t) { return Result<void>(); }));
  return std::move(answers.front());
}

Result<std::vector<Engine::Answer>> Engine::generate_all(
    std::vector<Request> requests, const std::function<Result<void>(int64_t)>& on_wait) {
  const size_t count = requests.size();
  const auto gathered = std::make_shared<Gathered>(count);
  std::vector<RequestId> ids;
  const auto give_up = [&](Error error) {
    for (const RequestId id : ids) cancel(id);
    return error;
  };
  for (size_t i = 0; i < count; ++i) {
    requests[i].on_event = [gathered, i](const Event& event) { gathered->add(i, event); };
    const auto id = submit(std::move(requests[i]));
    if (!id) return give_up(id.error());
    ids.push_back(*id);
  }
  for (size_t done = 0; done < count;) {
    done = gathered->wait();
    if (const auto goes_on = on_wait(static_cast<int64_t>(done)); !goes_on) {
      return give_up(goes_on.error());
    }
  }
  return gathered->take();
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
