#include <algorithm>
#include <numeric>

#include "base/cancel.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/random.h"
#include "engine/engine.h"
#include "train/rollout_internal.h"

namespace retort::train {
namespace {

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
                                  std::span<const uint32_t> chosen, int64_t step) const {
  const int64_t limit = std::min(options_.batch_tokens, student_.weights.config().max_positions);
  RETORT_TRY(const auto engine, open_engine(student_));
  std::vector<engine::Request> requests(chosen.size());
  Examples out;
  for (size_t i = 0; i < chosen.size(); ++i) {
    const Example& row = rows[chosen[i]];
    const size_t size = answer_start(row);
    engine::Request& request = requests[i];
    request.prompt.assign(row.ids.begin(), row.ids.begin() + static_cast<int64_t>(size));
    request.max_tokens = std::min(options_.rollout_tokens, limit - static_cast<int64_t>(size));
    request.sampling.temperature = options_.rollout_temperature;
    request.sampling.seed =
        base::mix64(static_cast<uint64_t>(options_.seed) ^
                    base::mix64(static_cast<uint64_t>(step) ^ base::mix64(chosen[i])));
    request.stop_tokens = {student_.stop};
    request.logprobs = true;
    out.rows.push_back({.key = row.key,
                        .ids = request.prompt,
                        .trained = std::vector<bool>(size, false),
                        .source = row.source});
  }
  const auto on_wait = [](int64_t) -> Result<void> {
    if (base::cancelled()) return base::cancelled_error("train");
    return {};
  };
  RETORT_TRY(const auto answers, engine->generate_all(std::move(requests), on_wait));
  for (size_t i = 0; i < answers.size(); ++i) {
    Example& row = out.rows[i];
    row.ids.insert(row.ids.end(), answers[i].tokens.begin(), answers[i].tokens.end());
    if (answers[i].finish_reason == "stop") row.ids.push_back(student_.stop);
    row.drawn.assign(row.trained.size() - 1, 0.0F);
    for (const auto& token : answers[i].chosen) row.drawn.push_back(token.logprob);
    if (answers[i].finish_reason == "stop") row.drawn.push_back(answers[i].stop.logprob);
    row.trained.resize(row.ids.size(), true);
  }
  return out;
}

namespace {

// What an answer's tokens gain on average, by the other answers: what it says itself must not
// count.
void set_baselines(std::vector<Example>& rows) {
  std::vector<double> sums;
  double all = 0;
  int64_t tokens = 0;
  for (const Example& row : rows) {
    double sum = 0;
    for (size_t i = 0; i < row.reference.size(); ++i) {
      sum += static_cast<double>(row.reference[i]) - static_cast<double>(row.drawn[i]);
    }
    sums.push_back(sum);
    all += sum;
    tokens += row.trained_tokens();
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    const int64_t others = tokens - rows[i].trained_tokens();
    rows[i].baseline =
        others > 0 ? static_cast<float>((all - sums[i]) / static_cast<double>(others)) : 0;
  }
}

}  // namespace

Result<Examples> first_answers(const Rollouts& rollouts, Scorer& teacher,
                               const std::vector<Example>& rows) {
  std::vector<uint32_t> all(rows.size());
  std::iota(all.begin(), all.end(), 0U);
  base::log_info("the student answers {} prompts", base::grouped(std::ssize(rows)));
  RETORT_TRY(Examples out, rollouts.sample(rows, all, 0));
  base::log_info("the teacher judges {} tokens", base::grouped(out.trained_tokens()));
  RETORT_TRY_VOID(teacher.score(out.rows));
  set_baselines(out.rows);
  return out;
}

Result<Examples> OnPolicy::answers(std::span<const uint32_t> rows, int64_t step) {
  Examples out;
  if (replay_.holds_answers() && replay_.full()) {
    out.rows = replay_.draw(rows.size(), seed_, step);
  } else {
    RETORT_TRY(out, rollouts_.sample(rows_, rows, step));
    if (judges_.scores != nullptr) {
      RETORT_TRY_VOID(judges_.scores->score(out.rows));
      set_baselines(out.rows);
    }
    replay_.add(out.rows);
  }
  if (judges_.distributions == nullptr) return out;
  judges_.distributions->forget_samples();
  for (Example& row : out.rows) row.source = judges_.distributions->add_sample(row);
  return out;
}

std::string OnPolicy::saved() const {
  return replay_.holds_answers() ? replay_.saved() : "";
}

Result<void> OnPolicy::restore(const std::string& text) {
  if (text.empty()) return {};
  return replay_.restore(text);
}

}  // namespace retort::train
