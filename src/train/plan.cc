#include "train/plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "base/cpu.h"
#include "base/progress.h"
#include "model/importance.h"
#include "model/model_file.h"
#include "tokenizer/match.h"
#include "tokenizer/tokenizer.h"
#include "train/objective.h"
#include "train/probe.h"

namespace retort::train {
namespace {

// Which parts are kept does not matter for their shape.
Result<model::Config> kept_shape(const model::Config& base, const StudentOptions& o) {
  const model::KeepCounts keep{
      .layers = o.keep_layers, .heads = o.keep_heads, .ffn = o.keep_ffn, .width = o.keep_width};
  const auto possible = model::check_counts(base, keep);
  if (!possible) return possible.error().at("student.keep_*, from " + o.from);
  const auto layers = static_cast<size_t>(base.layers);
  const model::Importance alike{
      .layers = std::vector<double>(layers),
      .kv_heads = {layers, std::vector<double>(static_cast<size_t>(base.kv_heads))},
      .ffn = {layers, std::vector<double>(static_cast<size_t>(base.ffn))},
      .width = std::vector<double>(static_cast<size_t>(base.width))};
  return model::pruned_config(base, model::plan_by_importance(base, alike, keep));
}

Result<model::Config> config_of(const std::string& path) {
  RETORT_TRY(const auto file, model::ModelFile::open(path));
  return file.config();
}

// The student's tokens are those of the weights that it starts from, or some of them.
Result<void> check_vocabularies(const std::string& student, const std::string& teacher) {
  if (student == teacher) return {};
  RETORT_TRY(const auto its, tokenizer::load_tokenizer(student));
  RETORT_TRY(const auto theirs, tokenizer::load_tokenizer(teacher));
  const auto ids = tokenizer::match(*its, *theirs);
  if (ids) return {};
  return base::bad_input(
      "the student's vocabulary is not the teacher's or a part of it: " + ids.error().message,
      teacher, "use objective = \"sequence_kd\", or start from the teacher's weights");
}

Result<void> check_room(const PlanInput& input, const StudentPlan& plan) {
  if (input.options.on_policy == 0) return {};
  int64_t room = std::min(input.options.batch_tokens, plan.shape.max_positions);
  if (plan.teacher) room = std::min(room, plan.teacher->max_positions);
  if (input.options.rollout_tokens + 1 < room) return {};
  return base::usage_error(
      fmt::format("sampled answers of {} tokens leave no room for a prompt in the {} that a batch "
                  "and the models' contexts hold",
                  input.options.rollout_tokens, room),
      "train.rollout_tokens", "lower it, or raise train.batch_tokens");
}

int64_t teacher_memory_bytes(const StudentPlan& plan, const TrainOptions& options,
                             model::Precision precision) {
  if (!plan.teacher) return 0;
  return plan.teacher->parameters() * static_cast<int64_t>(sizeof(float)) +
         model::Network::memory_bytes(*plan.teacher, options.batch_tokens, precision, nullptr,
                                      model::Use::inference) +
         model::Network::teacher_bytes(plan.shape, options.batch_tokens);
}

}  // namespace

Result<StudentPlan> plan_student(const PlanInput& input) {
  RETORT_TRY_VOID(validate(input.options));
  RETORT_TRY_VOID(validate(input.student));
  RETORT_TRY(const model::Precision precision, parse_precision(input.options.precision));
  StudentPlan plan;
  RETORT_TRY(plan.lora, lora_config(input.options));
  if (input.student.from == "scratch") {
    RETORT_TRY(plan.shape, student_config(input.student, input.vocab_size));
  } else {
    RETORT_TRY(plan.shape, config_of(input.student.from));
    if (prunes(input.student)) {
      RETORT_TRY(plan.shape, kept_shape(plan.shape, input.student));
    }
  }
  if (!input.teacher.empty()) {
    RETORT_TRY(plan.teacher, config_of(input.teacher));
    RETORT_TRY_VOID(check_vocabularies(input.student.from, input.teacher));
  }
  RETORT_TRY_VOID(check_room(input, plan));
  const model::LoraConfig* const lora = plan.lora ? &*plan.lora : nullptr;
  const int64_t teacher = teacher_memory_bytes(plan, input.options, precision);
  const bool leaves = draws_targets(input.options);  // before the training begins
  plan.recomputes = recomputes({plan.shape, precision, lora}, input.options, leaves ? 0 : teacher);
  TrainOptions settled = input.options;
  settled.recompute = plan.recomputes ? "always" : "never";
  const int64_t training = training_memory_bytes(plan.shape, settled, precision, lora);
  plan.memory_bytes = leaves ? std::max(training, teacher) : training + teacher;
  return plan;
}

bool recomputes(const Shape& shape, const TrainOptions& options, int64_t others, int64_t memory) {
  if (options.recompute != "auto") return options.recompute == "always";
  const int64_t kept = training_memory_bytes(shape.config, options, shape.precision, shape.lora);
  return kept + others > memory;
}

Result<void> check_memory(int64_t needed_bytes) {
  const int64_t there = base::total_memory_bytes();
  if (needed_bytes <= there) return {};
  return base::usage_error(fmt::format("training takes about {} of memory, this machine has {}",
                                       base::human_bytes(needed_bytes), base::human_bytes(there)),
                           "train.batch_tokens",
                           "lower it (train.accumulate keeps a step's size), or set lora_rank");
}

Result<Estimate> estimate(const StudentPlan& plan, const Workload& workload,
                          const TrainOptions& options, double tokens_per_second) {
  RETORT_TRY(const model::Precision precision, parse_precision(options.precision));
  if (workload.rows < 1 || workload.tokens_per_row < 1) {
    return base::usage_error("there are no rows to plan for");
  }
  Estimate out;
  const int64_t per_row = std::min(workload.tokens_per_row, options.batch_tokens);
  const int64_t rows_a_step = options.accumulate * (options.batch_tokens / per_row);
  out.steps = options.epochs * ((workload.rows + rows_a_step - 1) / rows_a_step);
  out.tokens = options.epochs * workload.rows * per_row;
  int64_t trained = plan.shape.parameters();
  if (plan.lora) {
    trained = 0;
    for (const auto& tensor : model::tensor_list(plan.shape, *plan.lora)) trained += tensor.size();
  }
  out.checkpoint_bytes = (options.average > 0 ? 4 : 3) * trained * int64_t{sizeof(float)};
  out.tokens_per_second = tokens_per_second;
  if (tokens_per_second == 0) {
    double seconds = 1 / step_tokens_per_second(
                             plan.shape, per_row, precision, plan.lora ? &*plan.lora : nullptr,
                             plan.recomputes ? model::Use::recomputing : model::Use::training);
    if (plan.teacher) {
      const auto passes = static_cast<double>(draws_targets(options) ? options.epochs : 1);
      seconds += 1 / forward_tokens_per_second(*plan.teacher, per_row, precision) / passes;
    }
    out.tokens_per_second = 1 / seconds;
  }
  out.seconds = static_cast<double>(out.tokens) / out.tokens_per_second;
  return out;
}

}  // namespace retort::train
