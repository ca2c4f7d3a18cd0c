#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "train/diary_internal.h"

namespace retort::train {

Result<Diary> Diary::open(const std::string& folder, int64_t last_line, int64_t total_steps) {
  RETORT_TRY(auto metrics, Metrics::open(base::join(folder, "metrics.jsonl"), last_line));
  return Diary(std::move(metrics), total_steps);
}

Result<void> Diary::add(const StepMetrics& step) {
  if (!metrics_) return {};
  smooth_rate_ = smooth_rate_ == 0 ? step.tokens_per_second
                                   : 0.95 * smooth_rate_ + 0.05 * step.tokens_per_second;
  std::string detail = fmt::format("loss {:.3f}, {} tokens/s", step.loss,
                                   base::grouped(static_cast<int64_t>(smooth_rate_)));
  if (smooth_rate_ < limit_) {  // else it was measured while the machine did other work
    detail += fmt::format(" ({:.0f} % of the machine's limit)", 100 * smooth_rate_ / limit_);
  }
  progress_->update(step.step, detail);
  return metrics_->add(step);
}

Result<void> Diary::add_held_out(int64_t step, const model::LossSum& sum) {
  if (!metrics_) return {};
  return metrics_->add_held_out({.step = step,
                                 .loss = sum.loss(),
                                 .nll = sum.nll(),
                                 .divergence = sum.divergence(),
                                 .tokens = sum.tokens});
}

Result<void> Diary::add_refused(int64_t step, const char* what,
                                const std::vector<std::string>& keys) {
  if (!metrics_) return {};
  const size_t shown = std::min<size_t>(keys.size(), 8);
  base::log_warning(
      "step {} is refused: its {} is not finite; {} records, the first: {}", step, what,
      keys.size(), fmt::join(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(shown), " "));
  return metrics_->add_refused(step, what, keys);
}

Result<void> Diary::sync() {
  if (!metrics_) return {};
  return metrics_->sync();
}

void Diary::finish(const LoopState& state) {
  if (!metrics_) return;
  progress_->finish(fmt::format("{} steps, loss {:.3f}, {} tokens in {}", state.step,
                                state.last_loss, base::grouped(state.tokens),
                                base::human_duration(state.seconds)));
}

}  // namespace retort::train
