#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "base/random.h"
#include "train/alike_internal.h"
#include "train/course_internal.h"
#include "train/diary_internal.h"
#include "train/identity_internal.h"
#include "train/learner_internal.h"
#include "train/loop_internal.h"
#include "train/optimizer.h"
#include "train/running_mean_internal.h"

namespace retort::train {
namespace {

constexpr int64_t kMostRefusedInRow = 5;
constexpr uint64_t kOnPolicy = 0x6f6e0000;  // stream of random numbers, with the step

using Batches = std::span<const std::vector<uint32_t>>;

class Loop {
 public:
  Loop(model::Weights& weights, model::Adapter* adapter, const LoopInput& input,
       model::Precision precision)
      : input_(input),
        options_(input.options),
        collective_(*input.collective),
        identity_(identity_of(input, weights.config())),
        learner_(weights, adapter, input, precision),
        trained_(learner_.trained()),
        optimizer_(trained_, options_),
        mean_(options_.average, trained_.block),
        course_(input.data, options_, learner_.together()),
        checkpoints_({.folder = base::join(input.folder, "checkpoints"),
                      .tensors = *trained_.tensors,
                      .blocks = blocks(),
                      .keep = options_.keep},
                     input.at_save_point) {
    outcome_.precision = learner_.network().precision();
    identity_.set("precision", outcome_.precision == model::Precision::bf16 ? "bf16" : "fp32");
    outcome_.total_steps = course_.total_steps();
  }

  Result<LoopOutcome> run();

 private:
  std::vector<NamedBlock> blocks();
  Result<bool> load_newest();
  Result<void> resume();
  bool cancelled();
  Result<void> train_epoch();
  Result<void> take_step(Batches batches);
  bool samples_now() const;
  Result<model::LossSum> learn(Batches batches);
  Result<void> refuse_step(Batches batches, const char* what);
  void update(double norm);
  Result<void> measure_start();
  Result<void> end_epoch(bool& improved);
  model::LossSum held_out_loss();
  void swap_mean();
  bool at_border() const;
  Result<void> save();
  Result<void> list_kept();
  Result<void> choose_weights();

  const LoopInput& input_;
  const TrainOptions& options_;
  Collective& collective_;
  json::Value identity_;
  Learner learner_;
  Trainable trained_;
  Optimizer optimizer_;
  RunningMean mean_;  // of what is trained, where one is wanted
  Course course_;
  Checkpoints checkpoints_;
  LoopState state_;
  LoopOutcome outcome_;
  Diary diary_;
  double started_s_ = 0;  // of this process, less what earlier ones took
  int64_t saved_step_ = -1;
  bool stop_ = false;
};

std::vector<NamedBlock> Loop::blocks() {
  std::vector<NamedBlock> all = {{"model", trained_.block}};
  for (NamedBlock& state : optimizer_.state()) all.push_back(std::move(state));
  if (mean_.is_kept()) all.push_back({"average", mean_.values()});
  return all;
}

// Rank 0's files, or nothing.
Result<bool> Loop::load_newest() {
  json::Value identity = identity_;
  if (course_.is_by_parts()) identity.set("parts", course_.describe_parts(course_.parts()));
  RETORT_TRY(const auto found, checkpoints_.load_newest(identity));
  if (!found) return false;
  const auto into = blocks();
  for (size_t i = 0; i < into.size(); ++i) {
    std::copy(found->blocks[i].begin(), found->blocks[i].end(), into[i].values.begin());
  }
  if (input_.own_answers != nullptr) {
    RETORT_TRY_VOID(input_.own_answers->restore(found->answers));
  }
  state_ = found->loop;
  base::log_info("training goes on after step {} of {}", state_.step, outcome_.total_steps);
  return true;
}

Result<void> Loop::resume() {
  bool found = false;
  if (collective_.is_first()) {
    RETORT_TRY(found, load_newest());
    // A run that begins anew keeps no line, not even of what was measured before its first step.
    RETORT_TRY(diary_, Diary::open(input_.folder, found ? state_.step : -1, outcome_.total_steps));
  }
  collective_.broadcast_value(found);
  if (!found) return {};
  collective_.broadcast_value(state_);
  for (const NamedBlock& block : blocks()) {
    collective_.broadcast(std::as_writable_bytes(block.values));
  }
  saved_step_ = outcome_.resumed_step = state_.step;
  learner_.network().refresh();
  return {};
}

// Whether any of the processes was told to stop.
bool Loop::cancelled() {
  double told = base::cancelled() ? 1 : 0;
  collective_.sum(std::span(&told, 1));
  return told > 0;
}

Result<LoopOutcome> Loop::run() {
  if (collective_.is_first()) RETORT_TRY_VOID(base::make_directories(input_.folder));
  RETORT_TRY_VOID(check_processors(collective_, outcome_.precision));
  RETORT_TRY_VOID(resume());
  stop_ = options_.patience > 0 && state_.worse_epochs >= options_.patience;
  if (state_.epoch < course_.epochs() && !stop_) {
    double limit = input_.limit ? input_.limit(outcome_.precision) : 0;
    collective_.sum(std::span(&limit, 1));
    outcome_.limit_tokens_per_second = limit;
    diary_.set_limit(limit);
  }
  started_s_ = base::monotonic_seconds() - state_.seconds;
  if (input_.measure_start && state_.step == 0) RETORT_TRY_VOID(measure_start());
  while (state_.epoch < course_.epochs() && !stop_) RETORT_TRY_VOID(train_epoch());
  if (saved_step_ != state_.step) RETORT_TRY_VOID(save());
  RETORT_TRY_VOID(list_kept());
  RETORT_TRY_VOID(choose_weights());
  outcome_.state = state_;
  outcome_.stopped_early = stop_;
  diary_.finish(state_);
  return outcome_;
}

Result<void> Loop::train_epoch() {
  const BatchPlan epoch = course_.plan(state_.epoch);
  const auto batches = static_cast<int64_t>(epoch.size());
  while (state_.cursor < batches) {
    const int64_t count = std::min(options_.accumulate, batches - state_.cursor);
    const auto stepped = take_step(
        std::span(epoch).subspan(static_cast<size_t>(state_.cursor), static_cast<size_t>(count)));
    if (!stepped) {
      // Nothing was learnt in this step: it is taken again when the run goes on.
      const ErrorCode code = stepped.error().code;
      const bool stopped = code == ErrorCode::interrupted || code == ErrorCode::upstream ||
                           code == ErrorCode::budget_reached;
      if (stopped && saved_step_ != state_.step) RETORT_TRY_VOID(save());
      return stepped.error();
    }
    bool improved = false;
    state_.cursor += count;
    if (state_.cursor == batches) RETORT_TRY_VOID(end_epoch(improved));
    if (input_.on_step) input_.on_step(state_);
    const bool due = state_.step % options_.checkpoint_every == 0;
    if (due || at_border() || (improved && options_.patience > 0)) RETORT_TRY_VOID(save());
    if (state_.cursor == 0) break;  // the epoch ended
  }
  return {};
}

// A function of the seed and the step alone.
bool Loop::samples_now() const {
  if (input_.own_answers == nullptr) return false;
  base::Random random(static_cast<uint64_t>(options_.seed),
                      kOnPolicy ^ static_cast<uint64_t>(state_.step));
  return random.uniform() < options_.on_policy;
}

// From the answers of the data, or from the student's own to the same prompts.
Result<model::LossSum> Loop::learn(Batches batches) {
  if (!samples_now()) return learner_.learn(input_.data.rows, batches, state_.step);
  std::vector<uint32_t> rows;
  for (const auto& batch : batches) rows.insert(rows.end(), batch.begin(), batch.end());
  RETORT_TRY(const Examples sampled, input_.own_answers->answers(rows, state_.step));
  return learner_.learn(sampled.rows, plan_in_order(sampled.rows, options_.batch_tokens),
                        state_.step);
}

Result<void> Loop::take_step(Batches batches) {
  if (cancelled()) return base::cancelled_error("train");
  const double began_s = base::monotonic_seconds();
  const int64_t inputs_before = learner_.inputs();
  RETORT_TRY(const model::LossSum sum, learn(batches));
  const double loss = sum.loss();
  const double norm = std::sqrt(learner_.squares());
  const double lr = course_.rate_at(state_.step++);
  const int64_t tokens = learner_.inputs() - inputs_before;
  state_.tokens += tokens;
  if (!std::isfinite(loss)) return refuse_step(batches, "loss");
  if (!std::isfinite(norm)) return refuse_step(batches, "gradient");
  state_.refused_in_row = 0;
  state_.last_loss = loss;
  if (state_.updates == 0) state_.first_loss = loss;
  ++state_.updates;
  update(norm);
  const double ended_s = base::monotonic_seconds();
  state_.seconds = ended_s - started_s_;
  return diary_.add(
      {.step = state_.step,
       .epoch = state_.epoch,
       .loss = loss,
       .nll = sum.nll(),
       .divergence = sum.divergence(),
       .lr = lr,
       .grad_norm = norm,
       .tokens = tokens,
       .tokens_per_second = static_cast<double>(tokens) / std::max(ended_s - began_s, 1e-9),
       .seconds = state_.seconds});
}

void Loop::update(double norm) {
  const bool clips = options_.clip_norm > 0 && norm > options_.clip_norm;
  optimizer_.step(learner_.gradients(), {.lr = course_.rate_at(state_.step - 1),
                                         .gradient_scale = clips ? options_.clip_norm / norm : 1,
                                         .number = state_.updates});
  mean_.move(trained_.block, state_.updates);
  learner_.network().refresh();
}

// The weights stay as they are; the step counts, so that data and schedule go on.
Result<void> Loop::refuse_step(Batches batches, const char* what) {
  ++state_.refused_in_row;
  ++outcome_.refused_steps;
  std::vector<std::string> keys;
  for (const auto& rows : batches) {
    for (const uint32_t row : rows) keys.push_back(input_.data.rows[row].key);
  }
  RETORT_TRY_VOID(diary_.add_refused(state_.step, what, keys));
  if (state_.refused_in_row < kMostRefusedInRow) return {};
  return base::bad_input(
      fmt::format("{} steps in a row had no finite {}", state_.refused_in_row, what),
      fmt::format("step {}", state_.step), "lower train.lr, or look at the records in the log");
}

Result<void> Loop::measure_start() {
  if (input_.held_out.rows.empty()) return {};
  const model::LossSum sum = held_out_loss();
  state_.start_loss = sum.loss();
  return diary_.add_held_out(state_.step, sum);
}

Result<void> Loop::end_epoch(bool& improved) {
  ++state_.epoch;
  state_.cursor = 0;
  if (input_.held_out.rows.empty()) return {};
  const model::LossSum sum = held_out_loss();
  const double loss = sum.loss();
  state_.held_out_loss = loss;
  improved = std::isfinite(loss) && (state_.best_step < 0 || loss < state_.best_loss);
  if (improved) {
    state_.best_step = state_.step;
    state_.best_loss = loss;
  }
  state_.worse_epochs = improved ? 0 : state_.worse_epochs + 1;
  stop_ = options_.patience > 0 && state_.worse_epochs >= options_.patience;
  return diary_.add_held_out(state_.step, sum);
}

model::LossSum Loop::held_out_loss() {
  swap_mean();
  const model::LossSum sum = learner_.measure(input_.held_out.rows);
  swap_mean();
  return sum;
}

// What the network sees; swapped again it is as it was.
void Loop::swap_mean() {
  if (!mean_.is_kept()) return;
  mean_.swap(trained_.block);
  learner_.network().refresh();
}

Result<void> Loop::save() {
  RETORT_TRY_VOID(check_alike(collective_, trained_.block, state_.step));
  saved_step_ = state_.step;
  if (!collective_.is_first()) return {};
  RETORT_TRY_VOID(diary_.sync());
  const std::string answers = input_.own_answers != nullptr ? input_.own_answers->saved() : "";
  json::Value identity = identity_;
  if (course_.is_by_parts()) {
    identity.set("parts", course_.describe_parts(course_.parts_seen(state_)));
  }
  return checkpoints_.save({state_, identity, answers, course_.borders()});
}

bool Loop::at_border() const {
  const auto borders = course_.borders();
  return std::binary_search(borders.begin(), borders.end(), state_.step);
}

Result<void> Loop::list_kept() {
  if (!collective_.is_first()) return {};
  const auto borders = course_.borders();
  for (size_t i = 0; i < borders.size(); ++i) {
    const auto weights = checkpoints_.weights_digest(borders[i]);
    // One that was damaged since then is no loss to this training; it only is not there to go on
    // from.
    if (!weights) continue;
    KeptCheckpoint kept{.step = borders[i], .parts = {}, .weights = *weights};
    for (size_t part = 0; part <= i; ++part) kept.parts.push_back(input_.data.parts[part].name);
    outcome_.kept.push_back(std::move(kept));
  }
  return {};
}

// The last weights or their mean, of the last step or of the best one.
Result<void> Loop::choose_weights() {
  const bool best = options_.patience > 0 && state_.best_step >= 0;
  outcome_.restored_best = best;
  if (!collective_.is_first()) return {};  // they are of no more use there
  if (best && state_.best_step != state_.step) {
    RETORT_TRY(const Checkpoint checkpoint, checkpoints_.load(state_.best_step));
    const auto& block = mean_.is_kept() ? checkpoint.blocks.back() : checkpoint.blocks.front();
    std::copy(block.begin(), block.end(), trained_.block.begin());
    base::log_info("the weights are those of step {}, whose held-out loss was lowest",
                   state_.best_step);
    return {};
  }
  mean_.replace(trained_.block);
  return {};
}

}  // namespace

Result<LoopOutcome> run_loop(model::Weights& weights, const LoopInput& input,
                             model::Adapter* adapter) {
  RETORT_TRY_VOID(validate(input.options));
  RETORT_TRY(const model::Precision precision, parse_precision(input.options.precision));
  if (input.data.rows.empty()) {
    return base::bad_input("there is nothing to train on: no record is left",
                           fmt::format("{} were too long", input.data.too_long),
                           "see what curation dropped, or raise train.batch_tokens");
  }
  Loop loop(weights, adapter, input, precision);
  return loop.run();
}

}  // namespace retort::train
