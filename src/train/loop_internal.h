// The training loop over rows that are already tokens. Private to the room: from outside only
// fit() reaches it, and fit() takes nothing that was not cleared.
#pragma once
#include <functional>
#include <string>

#include "json/value.h"
#include "model/lora.h"
#include "model/objective.h"
#include "model/weights.h"
#include "train/checkpoint.h"
#include "train/collective.h"
#include "train/examples.h"
#include "train/options.h"

namespace retort::train {

// The student's own answers, for steps that learn from them.
class AnswerSource {
 public:
  virtual ~AnswerSource() = default;
  // To the prompts of these rows, as the student is at this step, ready to be learnt from.
  virtual Result<Examples> answers(std::span<const uint32_t> rows, int64_t step) = 0;
  // What a run that goes on needs of it, as text, and back; "" where it needs nothing.
  virtual std::string saved() const = 0;
  virtual Result<void> restore(const std::string& text) = 0;
};

struct LoopInput {
  const Examples& data;
  const Examples& held_out;  // empty: nothing is measured, patience has no effect
  TrainOptions options;
  model::LogitSource* teacher = nullptr;  // where the objective asks one for logits
  AnswerSource* own_answers = nullptr;    // none: no step learns from any
  int64_t spoken = 0;          // ids that are tokens of the student's; 0: all of its logits
  bool measure_start = false;  // held-out loss before the first step, where weights know something
  std::string folder;          // gets metrics.jsonl and checkpoints/
  json::Value identity;        // beyond options, shape and data, which the loop adds itself
  // Tokens a second that the matrix products alone would reach at what `automatic` became; asked
  // once, 0 when unknown.
  std::function<double(model::Precision)> limit;
  // After each step, refused ones too; tests end the process here.
  std::function<void(const LoopState&)> on_step;
  Checkpoints::AtPoint at_save_point;
  // Processes that train this together, all with the same input; those other than rank 0 touch no
  // file.
  Collective* collective = &alone();
};

struct LoopOutcome {
  LoopState state;
  int64_t total_steps = 0;    // planned
  int64_t resumed_step = -1;  // -1: began anew
  int64_t refused_steps = 0;  // in this process
  bool stopped_early = false;
  bool restored_best = false;                           // the weights are those of state.best_step
  model::Precision precision = model::Precision::fp32;  // what automatic became
  double limit_tokens_per_second = 0;
  std::vector<KeptCheckpoint> kept;  // one a part, where it goes by parts
};

// Trains `weights` in place, or with an adapter it alone, beside weights that stay as they are:
// then checkpoints hold no weights. On Ctrl-C a checkpoint is written and the error is
// `interrupted`.
Result<LoopOutcome> run_loop(model::Weights& weights, const LoopInput& input,
                             model::Adapter* adapter = nullptr);

}  // namespace retort::train
