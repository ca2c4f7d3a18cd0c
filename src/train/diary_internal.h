// What a training run says of its steps: lines in metrics.jsonl, and one of progress for the eye.
// Private to the room.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "base/progress.h"
#include "model/network.h"
#include "train/checkpoint.h"
#include "train/metrics.h"

namespace retort::train {

class Diary {
 public:
  Diary() = default;  // says nothing
  // Lines up to and with `last_line` stay; -1: none.
  static Result<Diary> open(const std::string& folder, int64_t last_line, int64_t total_steps);

  // Of the machine, where it is known; the eye wants to know what share of it is reached.
  void set_limit(double tokens_per_second) { limit_ = tokens_per_second; }
  Result<void> add(const StepMetrics& step);
  // Of the held-out records, after so many steps.
  Result<void> add_held_out(int64_t step, const model::LossSum& sum);
  // A step whose `what` is not finite, and the keys of its records.
  Result<void> add_refused(int64_t step, const char* what, const std::vector<std::string>& keys);
  Result<void> sync();
  void finish(const LoopState& state);

 private:
  Diary(Metrics metrics, int64_t total_steps)
      : metrics_(std::move(metrics)),
        progress_(std::make_unique<base::Progress>("train", total_steps, "steps")) {}

  std::optional<Metrics> metrics_;
  std::unique_ptr<base::Progress> progress_;
  double limit_ = 0;
  double smooth_rate_ = 0;  // tokens a second, for the eye
};

}  // namespace retort::train
