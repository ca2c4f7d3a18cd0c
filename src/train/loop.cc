#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/cancel.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "kernels/adamw.h"
#include "kernels/norm.h"
#include "model/network.h"
#include "train/loop_internal.h"
#include "train/metrics.h"
#include "train/schedule.h"

namespace retort::train {
namespace {

constexpr int64_t kMostRefusedInRow = 5;

// Everything that a resumed run must have in common with the one it continues; how often
// checkpoints are written is not part of it.
json::Value identity_of(const LoopInput& input, const model::Config& config) {
  json::Value identity = input.identity.is_object() ? input.identity : json::Value::object();
  TrainOptions options = input.options;
  base::Options table;
  describe(table, options);
  for (const base::Option& option : table.all()) {
    if (option.name == "checkpoint_every" || option.name == "keep") continue;
    identity.set("train." + option.name, table.value_texts(option).front());
  }
  identity.set("student", fmt::format("{} x {}, {}/{} heads of {}, ffn {}, vocabulary {}",
                                      config.layers, config.width, config.heads, config.kv_heads,
                                      config.head_dim, config.ffn, config.vocab));
  identity.set("data", digest(input.data));
  identity.set("held_out", digest(input.held_out));
  return identity;
}

class Loop {
 public:
  Loop(model::Weights& weights, const LoopInput& input, model::Precision precision)
      : weights_(weights),
        input_(input),
        options_(input.options),
        identity_(identity_of(input, weights.config())),
        checkpoints_(base::join(input.folder, "checkpoints"), options_.keep, input.at_save_point),
        network_(weights, options_.batch_tokens, precision),
        gradients_(weights.block().size()),
        first_(weights.block().size()),
        second_(weights.block().size()) {
    outcome_.precision = network_.precision();
    identity_.set("precision", outcome_.precision == model::Precision::bf16 ? "bf16" : "fp32");
  }

  Result<LoopOutcome> run();

 private:
  Result<void> resume();
  void plan_steps();
  Result<void> train_epoch();
  Result<void> take_step(std::span<const uint32_t> rows);
  Result<void> refuse_step(std::span<const uint32_t> rows, const char* what);
  void update(double norm);
  Result<void> end_epoch(bool& improved);
  double held_out_loss();
  Result<void> save();
  Result<void> restore_best();
  void show_progress(double tokens_per_second);

  model::Weights& weights_;
  const LoopInput& input_;
  const TrainOptions& options_;
  json::Value identity_;
  Checkpoints checkpoints_;
  model::Network network_;
  std::vector<float> gradients_, first_, second_;
  Schedule schedule_;
  LoopState state_;
  LoopOutcome outcome_;
  std::optional<Metrics> metrics_;
  std::optional<base::Progress> progress_;
  double smooth_rate_ = 0;  // tokens a second, for the eye
  double started_s_ = 0;    // of this process, less what earlier ones took
  int64_t saved_step_ = -1;
  bool stop_ = false;
};

void Loop::plan_steps() {
  int64_t total = 0;
  for (int64_t epoch = 0; epoch < options_.epochs; ++epoch) {
    total += static_cast<int64_t>(plan_epoch(input_.data.rows, options_.batch_tokens,
                                             static_cast<uint64_t>(options_.seed), epoch)
                                      .size());
  }
  const auto share = static_cast<int64_t>(options_.warmup_share * static_cast<double>(total));
  schedule_ = {.peak = options_.lr,
               .min_ratio = options_.min_lr_ratio,
               .warmup = options_.warmup_steps >= 0 ? options_.warmup_steps : share,
               .total = total};
  outcome_.total_steps = total;
}

Result<void> Loop::resume() {
  RETORT_TRY(auto found, checkpoints_.load_newest(weights_.config(), identity_));
  if (found) {
    std::copy(found->weights.block().begin(), found->weights.block().end(),
              weights_.block().begin());
    first_ = std::move(found->first);
    second_ = std::move(found->second);
    state_ = found->loop;
    saved_step_ = outcome_.resumed_step = state_.step;
    network_.refresh();
    base::log_info("training goes on after step {} of {}", state_.step, outcome_.total_steps);
  }
  RETORT_TRY(auto metrics, Metrics::open(base::join(input_.folder, "metrics.jsonl"), state_.step));
  metrics_.emplace(std::move(metrics));
  return {};
}

Result<LoopOutcome> Loop::run() {
  RETORT_TRY_VOID(base::make_directories(input_.folder));
  plan_steps();
  RETORT_TRY_VOID(resume());
  stop_ = options_.patience > 0 && state_.worse_epochs >= options_.patience;
  if (state_.epoch < options_.epochs && !stop_ && input_.limit) {
    outcome_.limit_tokens_per_second = input_.limit(outcome_.precision);
  }
  progress_.emplace("train", outcome_.total_steps, "steps");
  started_s_ = base::monotonic_seconds() - state_.seconds;
  while (state_.epoch < options_.epochs && !stop_) RETORT_TRY_VOID(train_epoch());
  if (saved_step_ != state_.step) RETORT_TRY_VOID(save());
  if (options_.patience > 0 && state_.best_step >= 0) RETORT_TRY_VOID(restore_best());
  outcome_.state = state_;
  outcome_.stopped_early = stop_;
  progress_->finish(fmt::format("{} steps, loss {:.3f}, {} tokens in {}", state_.step,
                                state_.last_loss, base::grouped(state_.tokens),
                                base::human_duration(state_.seconds)));
  return outcome_;
}

Result<void> Loop::train_epoch() {
  const BatchPlan plan = plan_epoch(input_.data.rows, options_.batch_tokens,
                                    static_cast<uint64_t>(options_.seed), state_.epoch);
  const auto batches = static_cast<int64_t>(plan.size());
  while (state_.cursor < batches) {
    if (base::cancelled()) {
      if (saved_step_ != state_.step) RETORT_TRY_VOID(save());
      return base::cancelled_error("train");
    }
    RETORT_TRY_VOID(take_step(plan[static_cast<size_t>(state_.cursor)]));
    bool improved = false;
    if (++state_.cursor == batches) RETORT_TRY_VOID(end_epoch(improved));
    if (input_.on_step) input_.on_step(state_);
    const bool due = state_.step % options_.checkpoint_every == 0;
    if (due || (improved && options_.patience > 0)) RETORT_TRY_VOID(save());
    if (state_.cursor == 0) break;  // the epoch ended
  }
  return {};
}

Result<void> Loop::take_step(std::span<const uint32_t> rows) {
  const double began_s = base::monotonic_seconds();
  const model::Batch batch = make_batch(input_.data.rows, rows);
  const auto counted = std::count_if(batch.targets.begin(), batch.targets.end(),
                                     [](int32_t target) { return target >= 0; });
  std::fill(gradients_.begin(), gradients_.end(), 0.0F);
  const model::LossSum sum =
      network_.forward_backward(batch, 1.0F / static_cast<float>(counted), gradients_);
  const double loss = sum.nll_sum / static_cast<double>(sum.tokens);
  const double norm = std::sqrt(kernels::sum_of_squares(gradients_));
  const double lr = schedule_.at(state_.step++);
  const auto tokens = static_cast<int64_t>(batch.tokens.size());
  state_.tokens += tokens;
  if (!std::isfinite(loss)) return refuse_step(rows, "loss");
  if (!std::isfinite(norm)) return refuse_step(rows, "gradient");
  state_.refused_in_row = 0;
  state_.last_loss = loss;
  ++state_.updates;
  update(norm);
  const double ended_s = base::monotonic_seconds();
  const double rate = static_cast<double>(tokens) / std::max(ended_s - began_s, 1e-9);
  state_.seconds = ended_s - started_s_;
  show_progress(rate);
  return metrics_->add({.step = state_.step,
                        .epoch = state_.epoch,
                        .loss = loss,
                        .lr = lr,
                        .grad_norm = norm,
                        .tokens = tokens,
                        .tokens_per_second = rate,
                        .seconds = state_.seconds});
}

void Loop::update(double norm) {
  kernels::AdamW step{.lr = static_cast<float>(schedule_.at(state_.step - 1)),
                      .beta1 = static_cast<float>(options_.beta1),
                      .beta2 = static_cast<float>(options_.beta2),
                      .eps = static_cast<float>(options_.eps),
                      .step = state_.updates};
  if (options_.clip_norm > 0 && norm > options_.clip_norm) {
    step.gradient_scale = static_cast<float>(options_.clip_norm / norm);
  }
  for (const model::TensorInfo& tensor : weights_.tensors()) {
    step.weight_decay = tensor.is_vector ? 0 : static_cast<float>(options_.weight_decay);
    kernels::adamw_step(step, {.size = tensor.size(),
                               .weights = weights_.block().data() + tensor.offset,
                               .gradients = gradients_.data() + tensor.offset,
                               .m = first_.data() + tensor.offset,
                               .v = second_.data() + tensor.offset});
  }
  network_.refresh();
}

// The weights stay as they are; the step counts, so that data and schedule go on.
Result<void> Loop::refuse_step(std::span<const uint32_t> rows, const char* what) {
  ++state_.refused_in_row;
  ++outcome_.refused_steps;
  std::vector<std::string> keys;
  for (const uint32_t row : rows) keys.push_back(input_.data.rows[row].key);
  const size_t shown = std::min<size_t>(keys.size(), 8);
  base::log_warning(
      "step {} is refused: its {} is not finite; {} records, the first: {}", state_.step, what,
      keys.size(), fmt::join(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(shown), " "));
  RETORT_TRY_VOID(metrics_->add_refused(state_.step, what, keys));
  if (state_.refused_in_row < kMostRefusedInRow) return {};
  return base::bad_input(
      fmt::format("{} steps in a row had no finite {}", state_.refused_in_row, what),
      fmt::format("step {}", state_.step), "lower train.lr, or look at the records in the log");
}

Result<void> Loop::end_epoch(bool& improved) {
  ++state_.epoch;
  state_.cursor = 0;
  if (input_.held_out.rows.empty()) return {};
  const double loss = held_out_loss();
  state_.held_out_loss = loss;
  improved = std::isfinite(loss) && (state_.best_step < 0 || loss < state_.best_loss);
  if (improved) {
    state_.best_step = state_.step;
    state_.best_loss = loss;
  }
  state_.worse_epochs = improved ? 0 : state_.worse_epochs + 1;
  stop_ = options_.patience > 0 && state_.worse_epochs >= options_.patience;
  return metrics_->add_held_out(state_.step, loss, input_.held_out.trained_tokens());
}

double Loop::held_out_loss() {
  model::LossSum sum;
  for (const auto& rows : plan_in_order(input_.held_out.rows, options_.batch_tokens)) {
    const model::LossSum part = network_.loss(make_batch(input_.held_out.rows, rows));
    sum.nll_sum += part.nll_sum;
    sum.tokens += part.tokens;
  }
  return sum.nll_sum / static_cast<double>(sum.tokens);
}

Result<void> Loop::save() {
  RETORT_TRY_VOID(metrics_->sync());
  RETORT_TRY_VOID(checkpoints_.save({state_, identity_, weights_, first_, second_}));
  saved_step_ = state_.step;
  return {};
}

Result<void> Loop::restore_best() {
  outcome_.restored_best = true;
  if (state_.best_step == state_.step) return {};
  RETORT_TRY(const Checkpoint best, checkpoints_.load(state_.best_step, weights_.config()));
  std::copy(best.weights.block().begin(), best.weights.block().end(), weights_.block().begin());
  base::log_info("the weights are those of step {}, whose held-out loss was lowest",
                 state_.best_step);
  return {};
}

void Loop::show_progress(double tokens_per_second) {
  smooth_rate_ =
      smooth_rate_ == 0 ? tokens_per_second : 0.95 * smooth_rate_ + 0.05 * tokens_per_second;
  std::string detail = fmt::format("loss {:.3f}, {} tokens/s", state_.last_loss,
                                   base::grouped(static_cast<int64_t>(smooth_rate_)));
  if (outcome_.limit_tokens_per_second > 0) {
    detail += fmt::format(" ({:.0f} % of the machine's limit)",
                          100 * smooth_rate_ / outcome_.limit_tokens_per_second);
  }
  progress_->update(state_.step, detail);
}

}  // namespace

Result<LoopOutcome> run_loop(model::Weights& weights, const LoopInput& input) {
  RETORT_TRY_VOID(validate(input.options));
  RETORT_TRY(const model::Precision precision, parse_precision(input.options.precision));
  if (input.data.rows.empty()) {
    return base::bad_input("there is nothing to train on: no record is left",
                           fmt::format("{} were too long", input.data.too_long),
                           "see what curation dropped, or raise train.batch_tokens");
  }
  Loop loop(weights, input, precision);
  return loop.run();
}

}  // namespace retort::train
