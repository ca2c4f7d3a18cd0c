#include "evaluate/answers.h"

#include <fmt/core.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "base/cancel.h"
#include "base/progress.h"
#include "base/random.h"

namespace retort::evaluate {
namespace {

// Where the engine's thread leaves the answers and the caller waits for them.
class Collected {
 public:
  explicit Collected(size_t count) : answers_(count) {}

  void add(size_t index, const engine::Event& event) {
    const std::lock_guard lock(mutex_);
    answers_[index].text += event.text;
    if (!event.done) return;
    answers_[index].ended = event.finish_reason == "stop";
    if (event.finish_reason == "error" && error_.empty()) error_ = event.error;
    ++done_;
    changed_.notify_one();
  }

  void skip(size_t index) {
    const std::lock_guard lock(mutex_);
    answers_[index].skipped = true;
    ++done_;
  }

  // True when all are there; waits a moment at most.
  bool wait(int64_t& done) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(100));
    done = done_;
    return done_ == static_cast<int64_t>(answers_.size());
  }

  Result<std::vector<Answer>> take() {
    const std::lock_guard lock(mutex_);
    if (!error_.empty()) return base::internal_error("the student cannot answer: " + error_);
    return std::move(answers_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Answer> answers_;
  std::string error_;
  int64_t done_ = 0;
};

}  // namespace

Result<std::vector<Answer>> student_answers(const model::Weights& weights,
                                            std::shared_ptr<const tokenizer::Tokenizer> tokenizer,
                                            const std::vector<dialog::Messages>& prompts,
                                            const AnswerOptions& options) {
  RETORT_TRY(const auto format, tokenizer::ChatFormat::detect(*tokenizer));
  Collected collected(prompts.size());  // outlives the engine, whose thread writes into it
  RETORT_TRY(const auto engine, engine::Engine::from_weights(weights, tokenizer, options.engine));
  for (size_t i = 0; i < prompts.size(); ++i) {
    engine::Request request;
    RETORT_TRY(auto prompt, format.render(*tokenizer, prompts[i], /*open_assistant=*/true));
    request.prompt = std::move(prompt.ids);
    const int64_t room = engine->context_length() - static_cast<int64_t>(request.prompt.size());
    if (room < 1) {
      collected.skip(i);
      continue;
    }
    request.max_tokens = std::min(options.max_tokens, room);
    request.sampling = options.sampling;
    request.sampling.seed = base::mix64(options.sampling.seed ^ base::mix64(i));
    request.stop_tokens = {format.stop_token()};
    request.on_event = [&collected, i](const engine::Event& event) { collected.add(i, event); };
    RETORT_TRY_VOID(engine->submit(std::move(request)));
  }
  base::Progress progress("evaluate", static_cast<int64_t>(prompts.size()), "answers");
  int64_t done = 0;
  while (!collected.wait(done)) {
    if (base::cancelled()) return base::cancelled_error("evaluate");
    progress.update(done);
  }
  progress.finish(fmt::format("{} answers of the student", prompts.size()));
  return collected.take();
}

}  // namespace retort::evaluate
