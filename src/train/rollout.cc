#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "base/cancel.h"
#include "base/random.h"
#include "engine/engine.h"
#include "train/rollout_internal.h"

namespace retort::train {
namespace {

// Ids up to the first trained one.
size_t prompt_size(const Example& row) {
  return static_cast<size_t>(std::find(row.trained.begin(), row.trained.end(), true) -
                             row.trained.begin());
}

// Where the engine's thread leaves the answers and the caller waits for them.
class Arriving {
 public:
  explicit Arriving(size_t count) : rows_(count), left_(count) {}

  void start(size_t index, Example row) { rows_[index] = std::move(row); }
  void add(size_t index, const engine::Event& event, tokenizer::TokenId stop) {
    const std::lock_guard lock(mutex_);
    Example& row = rows_[index];
    row.ids.insert(row.ids.end(), event.tokens.begin(), event.tokens.end());
    if (event.done) {
      if (event.finish_reason == "stop") row.ids.push_back(stop);
      if (event.finish_reason == "error") error_ = event.error;
      --left_;
      changed_.notify_one();
    }
    row.trained.resize(row.ids.size(), true);
  }
  bool wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(100), [&] { return left_ == 0; });
  }
  Result<std::vector<Example>> take() {
    const std::lock_guard lock(mutex_);
    if (!error_.empty()) return base::internal_error("the student cannot answer: " + error_);
    return std::move(rows_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Example> rows_;
  size_t left_;
  std::string error_;
};

Result<std::unique_ptr<engine::Engine>> open_engine(const Rollouts::Student& student) {
  if (student.adapter == nullptr) {
    return engine::Engine::from_weights(student.weights, student.tokenizer);
  }
  model::Weights merged = student.weights;
  model::merge(merged, *student.adapter);
  return engine::Engine::from_weights(merged, student.tokenizer);
}

}  // namespace

Result<Examples> Rollouts::sample(const std::vector<Example>& rows,
                                  std::span<const uint32_t> chosen, int64_t step) {
  const int64_t limit = std::min(options_.batch_tokens, student_.weights.config().max_positions);
  Arriving arriving(chosen.size());  // outlives the engine, whose thread writes into it
  RETORT_TRY(const auto engine, open_engine(student_));
  for (size_t i = 0; i < chosen.size(); ++i) {
    const Example& row = rows[chosen[i]];
    const size_t size = prompt_size(row);
    engine::Request request;
    request.prompt.assign(row.ids.begin(), row.ids.begin() + static_cast<int64_t>(size));
    request.max_tokens = std::min(options_.rollout_tokens, limit - static_cast<int64_t>(size));
    request.sampling.temperature = options_.rollout_temperature;
    request.sampling.seed =
        base::mix64(static_cast<uint64_t>(options_.seed) ^
                    base::mix64(static_cast<uint64_t>(step) ^ base::mix64(chosen[i])));
    request.stop_tokens = {student_.stop};
    request.on_event = [&, i](const engine::Event& event) {
      arriving.add(i, event, student_.stop);
    };
    arriving.start(i, {.key = row.key,
                       .ids = request.prompt,
                       .trained = std::vector<bool>(size, false),
                       .source = row.source});
    RETORT_TRY_VOID(engine->submit(std::move(request)));
  }
  while (!arriving.wait()) {
    if (base::cancelled()) return base::cancelled_error("train");
  }
  Examples out;
  RETORT_TRY(out.rows, arriving.take());
  teacher_.forget_samples();
  for (Example& row : out.rows) row.source = teacher_.add_sample(row);
  return out;
}

}  // namespace retort::train
