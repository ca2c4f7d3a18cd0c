// The stages: each reads what an earlier one left in the run's folder, calls one room, and counts.
#include "base/files.h"
#include "pipeline/isolation.h"
#include "pipeline/stages_internal.h"

namespace retort::pipeline {

using terms::TrainGenerative;

void count(Summary& summary, const std::string& name, double value) {
  summary.counts.emplace_back(name, value);
}
void count(Summary& summary, const std::string& name, int64_t value) {
  count(summary, name, static_cast<double>(value));
}

corpus::Selection selection(const RunContext& context, const char* split, const char* label,
                            bool logprobs) {
  return {
      .folder = context.path("curated"), .split = split, .path_label = label, .logprobs = logprobs};
}

Result<std::optional<corpus::ClearedWeights<TrainGenerative>>> clear_base_weights(
    const RunContext& context, corpus::Clearance& clearance) {
  const auto& options = context.options;
  if (options.student.from == "scratch") {
    return std::optional<corpus::ClearedWeights<TrainGenerative>>{};
  }
  RETORT_TRY(auto cleared, clearance.clear_weights<TrainGenerative>(
                               options.student.from, options.student_model, options.student_terms));
  return std::optional(std::move(cleared));
}

Result<std::shared_ptr<const tokenizer::Tokenizer>> student_tokenizer(const RunContext& context) {
  return tokenizer::load_tokenizer_json(context.path("tokenizer/tokenizer.json"));
}

std::string base_name(const RunContext& context) {
  const auto& options = context.options;
  return options.student_model.empty() ? base::base_name(options.student.from)
                                       : options.student_model;
}

namespace {

// Only what follows from the stage's options alone may go; answers are never thrown away.
Result<void> forget_training(RunContext& context) {
  if (context.options.train.isolate_by.empty()) return base::remove_all(context.path("train"));
  // The trainer keeps the checkpoints that have learnt nothing but what is left, and removes
  // others.
  RETORT_TRY_VOID(base::remove_all(context.path("train/start.json")));
  return base::remove_all(context.path("train/final"));
}

}  // namespace

std::vector<Stage> stages() {
  return {
      {.name = "collect",
       .tables = {"teacher", "purpose", "collect"},
       .inputs = {},
       .outputs = {"shards"},
       .run = run_collect},
      {.name = "curate",
       .tables = {"curate", "purpose", "teacher", "collect"},
       .inputs = {"shards"},
       .outputs = {"curated"},
       .run = run_curate,
       .depends_on = curation_basis},
      {.name = "tokenizer",
       .tables = {"tokenizer", "student", "purpose"},
       .inputs = {"curated"},
       .outputs = {"tokenizer"},
       .run = run_tokenizer,
       .depends_on = isolation_of},
      {.name = "train",
       .tables = {"train", "student", "purpose"},
       .inputs = {"curated", "tokenizer"},
       .outputs = {"train/final"},
       .run = run_train,
       .forget = forget_training},
      {.name = "evaluate",
       .tables = {"evaluate", "student", "purpose"},
       .inputs = {"curated", "tokenizer", "train/final"},
       .outputs = {"evaluate"},
       .run = run_evaluate},
      {.name = "export",
       .tables = {"export", "purpose", "student"},
       .inputs = {"tokenizer", "train/final"},
       .outputs = {"student", "student.gguf"},
       .run = run_export,
       .check = check_student},
  };
}

}  // namespace retort::pipeline
