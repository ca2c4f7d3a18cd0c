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
#include "base/random.h"
#include "kernels/norm.h"
#include "model/network.h"
#include "train/loop_internal.h"
#include "train/metrics.h"
#include "train/objective.h"
#include "train/optimizer.h"
#include "train/schedule.h"

namespace retort::train {
namespace {

constexpr int64_t kMostRefusedInRow = 5;
constexpr uint64_t kOnPolicy = 0x6f6e0000;  // stream of random numbers, with the step

// Everything that a resumed run must have in common with the one it continues; how often
// checkpoints are written is not part of it.
json::Value identity_of(const LoopInput& input, const model::Config& config) {
  json::Value identity = input.identity.is_object() ? input.identity : json::Value::object();
  TrainOptions options = input.options;
  base::Options table;
  describe(table, options);
  for (const base::Option& option : table.all()) {
    if (option.name == "checkpoint_every" || option.name == "keep") continue;
    identity.set("train." + option.name,
                 fmt::format("{}", fmt::join(table.value_texts(option), ", ")));
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
  struct Learner {
    model::Weights& weights;
    model::Adapter* adapter;
    Trainable trained() const {
      if (adapter == nullptr) return {&weights.tensors(), weights.block()};
      return {&adapter->tensors(), adapter->block()};
    }
  };
  Loop(const Learner& learner, const LoopInput& input, model::Precision precision)
      : input_(input),
        options_(input.options),
        identity_(identity_of(input, learner.weights.config())),
        trained_(learner.trained()),
        weigher_(weigher_of(options_)),
        network_(learner.weights, options_.batch_tokens, precision, learner.adapter),
        optimizer_(trained_, options_),
        gradients_(trained_.block.size()),
        average_(options_.average > 0 ? trained_.block.size() : 0),
        checkpoints_({.folder = base::join(input.folder, "checkpoints"),
                      .tensors = *trained_.tensors,
                      .blocks = blocks(),
                      .keep = options_.keep},
                     input.at_save_point) {
    std::copy_n(trained_.block.begin(), average_.size(), average_.begin());
    model::Objective objective = objective_of(options_, input.teacher);
    objective.weigher = weigher_.get();
    if (weigher_ && !learns_pairs(options_)) objective.spoken = input.spoken;
    network_.set_objective(objective);
    outcome_.precision = network_.precision();
    identity_.set("precision", outcome_.precision == model::Precision::bf16 ? "bf16" : "fp32");
  }

  Result<LoopOutcome> run();

 private:
  std::vector<NamedBlock> blocks();
  Result<void> resume();
  void plan_steps();
  Result<void> train_epoch();
  Result<void> take_step(std::span<const std::vector<uint32_t>> batches);
  bool samples_now() const;
  uint32_t together() const { return learns_pairs(options_) ? 2 : 1; }  // rows of a batch
  Result<model::LossSum> learn(std::span<const std::vector<uint32_t>> batches);
  model::LossSum forward_backward(const std::vector<Example>& examples,
                                  std::span<const std::vector<uint32_t>> batches);
  Result<void> refuse_step(std::span<const std::vector<uint32_t>> batches, const char* what);
  void update(double norm);
  void move_average();
  void swap_average();
  Result<void> measure_start();
  Result<void> end_epoch(bool& improved);
  Result<void> add_held_out(const model::LossSum& sum);
  model::LossSum held_out_loss();
  Result<void> save();
  Result<void> choose_weights();
  void show_progress(double tokens_per_second);

  const LoopInput& input_;
  const TrainOptions& options_;
  json::Value identity_;
  Trainable trained_;
  const std::unique_ptr<model::RowWeigher> weigher_;  // what the network asks, where one is wanted
  model::Network network_;
  Optimizer optimizer_;
  std::vector<float> gradients_;
  std::vector<float> average_;  // of what is trained, where one is wanted
  Checkpoints checkpoints_;
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

std::vector<NamedBlock> Loop::blocks() {
  std::vector<NamedBlock> all = {{"model", trained_.block}};
  for (NamedBlock& state : optimizer_.state()) all.push_back(std::move(state));
  if (!average_.empty()) all.push_back({"average", average_});
  return all;
}

void Loop::plan_steps() {
  int64_t total = 0;
  for (int64_t epoch = 0; epoch < options_.epochs; ++epoch) {
    const auto batches =
        static_cast<int64_t>(plan_epoch(input_.data.rows, options_.batch_tokens,
                                        static_cast<uint64_t>(options_.seed), epoch, together())
                                 .size());
    total += (batches + options_.accumulate - 1) / options_.accumulate;
  }
  const auto share = static_cast<int64_t>(options_.warmup_share * static_cast<double>(total));
  schedule_ = {.shape = *parse_schedule(options_.schedule),
               .peak = options_.lr,
               .min_ratio = options_.min_lr_ratio,
               .warmup = options_.warmup_steps >= 0 ? options_.warmup_steps : share,
               .decay = static_cast<int64_t>(options_.decay_share * static_cast<double>(total)),
               .total = total};
  outcome_.total_steps = total;
}

Result<void> Loop::resume() {
  RETORT_TRY(const auto found, checkpoints_.load_newest(identity_));
  if (found) {
    const auto into = blocks();
    for (size_t i = 0; i < into.size(); ++i) {
      std::copy(found->blocks[i].begin(), found->blocks[i].end(), into[i].values.begin());
    }
    if (input_.own_answers != nullptr) {
      RETORT_TRY_VOID(input_.own_answers->restore(found->answers));
    }
    state_ = found->loop;
    saved_step_ = outcome_.resumed_step = state_.step;
    network_.refresh();
    base::log_info("training goes on after step {} of {}", state_.step, outcome_.total_steps);
  }
  // A run that begins anew keeps no line, not even of what was measured before its first step.
  const int64_t last_line = found ? state_.step : -1;
  RETORT_TRY(auto metrics, Metrics::open(base::join(input_.folder, "metrics.jsonl"), last_line));
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
  if (input_.measure_start && state_.step == 0) RETORT_TRY_VOID(measure_start());
  while (state_.epoch < options_.epochs && !stop_) RETORT_TRY_VOID(train_epoch());
  if (saved_step_ != state_.step) RETORT_TRY_VOID(save());
  RETORT_TRY_VOID(choose_weights());
  outcome_.state = state_;
  outcome_.stopped_early = stop_;
  progress_->finish(fmt::format("{} steps, loss {:.3f}, {} tokens in {}", state_.step,
                                state_.last_loss, base::grouped(state_.tokens),
                                base::human_duration(state_.seconds)));
  return outcome_;
}

Result<void> Loop::train_epoch() {
  const BatchPlan plan = plan_epoch(input_.data.rows, options_.batch_tokens,
                                    static_cast<uint64_t>(options_.seed), state_.epoch, together());
  const auto batches = static_cast<int64_t>(plan.size());
  while (state_.cursor < batches) {
    const int64_t count = std::min(options_.accumulate, batches - state_.cursor);
    const auto stepped = take_step(
        std::span(plan).subspan(static_cast<size_t>(state_.cursor), static_cast<size_t>(count)));
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
    if (due || (improved && options_.patience > 0)) RETORT_TRY_VOID(save());
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
Result<model::LossSum> Loop::learn(std::span<const std::vector<uint32_t>> batches) {
  if (!samples_now()) return forward_backward(input_.data.rows, batches);
  std::vector<uint32_t> rows;
  for (const auto& batch : batches) rows.insert(rows.end(), batch.begin(), batch.end());
  RETORT_TRY(const Examples sampled, input_.own_answers->answers(rows, state_.step));
  return forward_backward(sampled.rows, plan_in_order(sampled.rows, options_.batch_tokens));
}

// Every counted token weighs the same, in whichever batch of the step it stands.
model::LossSum Loop::forward_backward(const std::vector<Example>& examples,
                                      std::span<const std::vector<uint32_t>> batches) {
  int64_t counted = 0;
  for (const auto& rows : batches) {
    if (learns_pairs(options_)) {
      counted += std::ssize(rows) / 2;
      continue;
    }
    for (const uint32_t row : rows) counted += examples[row].trained_tokens();
  }
  std::fill(gradients_.begin(), gradients_.end(), 0.0F);
  model::LossSum sum;
  for (const auto& rows : batches) {
    const model::Batch batch = make_batch(examples, rows);
    sum.add(network_.forward_backward(batch, 1.0F / static_cast<float>(counted), gradients_));
    state_.tokens += static_cast<int64_t>(batch.tokens.size());
  }
  return sum;
}

Result<void> Loop::take_step(std::span<const std::vector<uint32_t>> batches) {
  if (base::cancelled()) return base::cancelled_error("train");
  const double began_s = base::monotonic_seconds();
  const int64_t tokens_before = state_.tokens;
  RETORT_TRY(const model::LossSum sum, learn(batches));
  const double loss = sum.loss();
  const double norm = std::sqrt(kernels::sum_of_squares(gradients_));
  const double lr = schedule_.at(state_.step++);
  const int64_t tokens = state_.tokens - tokens_before;
  if (!std::isfinite(loss)) return refuse_step(batches, "loss");
  if (!std::isfinite(norm)) return refuse_step(batches, "gradient");
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
                        .nll = sum.nll(),
                        .divergence = sum.divergence(),
                        .lr = lr,
                        .grad_norm = norm,
                        .tokens = tokens,
                        .tokens_per_second = rate,
                        .seconds = state_.seconds});
}

void Loop::update(double norm) {
  const bool clips = options_.clip_norm > 0 && norm > options_.clip_norm;
  optimizer_.step(gradients_, {.lr = schedule_.at(state_.step - 1),
                               .gradient_scale = clips ? options_.clip_norm / norm : 1,
                               .number = state_.updates});
  if (!average_.empty()) move_average();
  network_.refresh();
}

// The first updates count more, or the mean would long be that of the first weights.
void Loop::move_average() {
  const auto updates = static_cast<double>(state_.updates);
  const auto decay = static_cast<float>(std::min(options_.average, (1 + updates) / (10 + updates)));
  const float* now = trained_.block.data();
  base::parallel_for(static_cast<int64_t>(average_.size()), 1 << 14,
                     [&](int64_t begin, int64_t end) {
                       for (int64_t i = begin; i < end; ++i)
                         average_[i] += (1 - decay) * (now[i] - average_[i]);
                     });
}

// The weights stay as they are; the step counts, so that data and schedule go on.
Result<void> Loop::refuse_step(std::span<const std::vector<uint32_t>> batches, const char* what) {
  ++state_.refused_in_row;
  ++outcome_.refused_steps;
  std::vector<std::string> keys;
  for (const auto& rows : batches) {
    for (const uint32_t row : rows) keys.push_back(input_.data.rows[row].key);
  }
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

Result<void> Loop::measure_start() {
  if (input_.held_out.rows.empty()) return {};
  const model::LossSum sum = held_out_loss();
  state_.start_loss = sum.loss();
  return add_held_out(sum);
}

Result<void> Loop::add_held_out(const model::LossSum& sum) {
  return metrics_->add_held_out({.step = state_.step,
                                 .loss = sum.loss(),
                                 .nll = sum.nll(),
                                 .divergence = sum.divergence(),
                                 .tokens = sum.tokens});
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
  return add_held_out(sum);
}

model::LossSum Loop::held_out_loss() {
  model::LossSum sum;
  swap_average();
  for (const auto& rows : plan_in_order(input_.held_out.rows, options_.batch_tokens, together())) {
    sum.add(network_.loss(make_batch(input_.held_out.rows, rows)));
  }
  swap_average();
  return sum;
}

// What the network sees; swapped again it is as it was.
void Loop::swap_average() {
  if (average_.empty()) return;
  std::swap_ranges(average_.begin(), average_.end(), trained_.block.begin());
  network_.refresh();
}

Result<void> Loop::save() {
  RETORT_TRY_VOID(metrics_->sync());
  const std::string answers = input_.own_answers != nullptr ? input_.own_answers->saved() : "";
  RETORT_TRY_VOID(checkpoints_.save({state_, identity_, answers}));
  saved_step_ = state_.step;
  return {};
}

// The last weights or their mean, of the last step or of the best one.
Result<void> Loop::choose_weights() {
  const bool best = options_.patience > 0 && state_.best_step >= 0;
  outcome_.restored_best = best;
  if (best && state_.best_step != state_.step) {
    RETORT_TRY(const Checkpoint checkpoint, checkpoints_.load(state_.best_step));
    const auto& block = average_.empty() ? checkpoint.blocks.front() : checkpoint.blocks.back();
    std::copy(block.begin(), block.end(), trained_.block.begin());
    base::log_info("the weights are those of step {}, whose held-out loss was lowest",
                   state_.best_step);
    return {};
  }
  std::copy(average_.begin(), average_.end(), trained_.block.begin());
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

Result<LoopOutcome> run_loop(model::Weights& weights, const LoopInput& input,
                             model::Adapter* adapter) {
  RETORT_TRY_VOID(validate(input.options));
  RETORT_TRY(const model::Precision precision, parse_precision(input.options.precision));
  if (input.data.rows.empty()) {
    return base::bad_input("there is nothing to train on: no record is left",
                           fmt::format("{} were too long", input.data.too_long),
                           "see what curation dropped, or raise train.batch_tokens");
  }
  Loop loop({weights, adapter}, input, precision);
  return loop.run();
}

}  // namespace retort::train
