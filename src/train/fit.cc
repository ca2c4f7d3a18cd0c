#include "train/fit.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>

#include "base/check.h"
#include "base/log.h"
#include "base/progress.h"
#include "tokenizer/chat.h"
#include "train/door_teacher_internal.h"
#include "train/examples.h"
#include "train/lesson_internal.h"
#include "train/limit_internal.h"
#include "train/loop_internal.h"
#include "train/objective.h"
#include "train/online_teacher_internal.h"
#include "train/plan.h"
#include "train/probe.h"
#include "train/remedy.h"
#include "train/rollout_internal.h"
#include "train/rows_internal.h"
#include "train/start.h"

namespace retort::train {
namespace {

Result<model::Weights> first_weights(const FitInput& input) {
  const std::string& from = input.student.from;
  if (input.base_weights == nullptr) {
    if (from != "scratch") {
      return base::usage_error("the weights to start from were not cleared for training", from,
                               "state their terms under [student]");
    }
    RETORT_TRY(const model::Config config, student_config(input.student, input.tokenizer->size()));
    return model::Weights::random(config, static_cast<uint64_t>(input.options.seed));
  }
  return start_weights(input);
}

// The teacher that the objective asks for logits; none where it needs no teacher.
Result<std::unique_ptr<OnlineTeacher>> open_teacher(const FitInput& input, int64_t student_vocab) {
  if (!asks_teacher(input.options)) return std::unique_ptr<OnlineTeacher>();
  if (input.teacher == nullptr) {
    return base::usage_error(
        fmt::format("the objective {} needs the teacher's weights", input.options.objective),
        "train.objective", "name their file as teacher.serve, or use objective = \"sequence_kd\"");
  }
  const std::string& path = input.teacher->path();
  RETORT_TRY(model::Weights weights, model::load_weights(path));
  RETORT_TRY(auto its_tokenizer, tokenizer::load_tokenizer(path));
  return OnlineTeacher::create(std::move(weights), std::move(its_tokenizer), *input.tokenizer,
                               student_vocab, path);
}

// What the loss counts, before anything is spent on it.
void show_first(const Examples& examples, const tokenizer::Tokenizer& tokenizer) {
  if (examples.rows.empty() || ::isatty(STDERR_FILENO) == 0) return;
  std::fprintf(stderr, "the first record; what is learnt is green:\n%s\n",
               show(examples.rows.front(), tokenizer, /*colour=*/true).c_str());
}

Result<std::optional<model::Adapter>> first_adapter(const FitInput& input,
                                                    const model::Config& config) {
  RETORT_TRY(const auto lora, lora_config(input.options));
  if (!lora) return std::optional<model::Adapter>{};
  RETORT_TRY_VOID(check_lora_base(input.options, input.student));
  auto adapter = model::Adapter::random(config, *lora, static_cast<uint64_t>(input.options.seed));
  base::log_info("its weights are frozen; an adapter of {} parameters is trained",
                 base::grouped(static_cast<int64_t>(adapter.block().size())));
  return std::optional(std::move(adapter));
}

void tell_sizes(const model::Config& config, const Examples& data) {
  base::log_info("student of {} parameters; {} records, {} tokens, of which {} are learnt",
                 base::grouped(config.parameters()),
                 base::grouped(static_cast<int64_t>(data.rows.size())),
                 base::grouped(data.tokens()), base::grouped(data.trained_tokens()));
  if (data.too_long > 0) {
    base::log_warning("{} records are too long for a batch or for the student and are left out",
                      data.too_long);
  }
}

// What each part's end would cost, while it can still be chosen otherwise.
void tell_remedies(const FitInput& input, const Examples& data) {
  std::map<std::string, std::string> labels;
  for (const corpus::Record& record : input.data.records()) {
    const auto part = input.part_of(record);
    labels[part.order] = part.label;
  }
  std::vector<PartSize> sizes;
  size_t row = 0;
  for (const RowPart& part : data.parts) {
    PartSize size{.label = labels.at(part.name), .rows = part.rows};
    for (const size_t end = row + static_cast<size_t>(part.rows); row < end; ++row) {
      size.tokens += data.rows[row].inputs() * input.options.epochs;
    }
    sizes.push_back(std::move(size));
  }
  for (const std::string& line : tell(remedies(sizes))) base::log_info("{}", line);
}

// Said before anything is computed; memory that this machine has not got ends a run much later.
// The options with what was decided because of it.
Result<TrainOptions> fit_into_memory(const FitInput& input, const model::Config& config,
                                     const model::LoraConfig* lora, int64_t teacher_bytes) {
  RETORT_TRY(const model::Precision precision, parse_precision(input.options.precision));
  TrainOptions settled = input.options;
  const bool again = recomputes({config, precision, lora}, input.options, teacher_bytes);
  settled.recompute = again ? "always" : "never";
  const int64_t needed = training_memory_bytes(config, settled, precision, lora) + teacher_bytes;
  base::log_info("training takes about {} of memory{}", base::human_bytes(needed),
                 again ? "; activations are made again in the backward pass" : "");
  RETORT_TRY_VOID(check_memory(needed));
  return settled;
}

std::string digest_or_none(const corpus::ClearedWeights<terms::TrainGenerative>* weights) {
  return weights == nullptr ? "" : weights->digest();
}

void check_logged(const FitInput& input, const lineage::RunManifest& run) {
  RETORT_CHECK(run.selection == input.data.digest(), "the manifest is of other records");
  RETORT_CHECK((run.base ? run.base->digest : "") == digest_or_none(input.base_weights),
               "the manifest is of other weights");
  RETORT_CHECK(
      (run.teachers.empty() ? "" : run.teachers[0].digest) == digest_or_none(input.teacher),
      "the manifest is of another teacher");
  RETORT_CHECK_EQ(run.asked.empty() ? -1 : run.asked[0].door,
                  input.door == nullptr ? -1 : input.door->entry());
}

json::Value identity_of(const FitInput& input) {
  json::Value identity = json::Value::object({{"student.from", input.student.from}});
  identity.set("student.without_system", input.student.without_system);
  if (input.base_weights != nullptr) identity.set("base weights", input.base_weights->digest());
  if (asks_teacher(input.options)) identity.set("teacher's weights", input.teacher->digest());
  if (asks_door(input.options)) {
    identity.set("teacher's door", input.door->origin().door.endpoint);
    identity.set("teacher's model", input.door->teaching().model);
  }
  return identity;
}

Result<void> check_collective(const FitInput& input) {
  if (input.collective == nullptr || input.collective->size() == 1) return {};
  if (input.options.on_policy == 0) return {};
  return base::usage_error("answers that the student samples are sampled by one process alone",
                           "train.on_policy", "train without mpirun, or set it to 0");
}

// What is taken from all records alike would carry later parts into earlier ones.
Result<void> check_isolation(const FitInput& input) {
  RETORT_CHECK(input.options.isolate_by.empty() == (input.part_of == nullptr),
               "parts and train.isolate_by go together");
  if (!input.part_of) return {};
  return check_isolated_start(input.student);
}

// What on-policy training asks, where it is wanted.
std::optional<OnPolicy> own_answers(const FitInput& input, Rollouts::Student student,
                                    const Judges& judges, const std::vector<Example>& rows) {
  if (input.options.on_policy == 0 || samples_first(input.options)) return std::nullopt;
  return std::optional<OnPolicy>(std::in_place, Rollouts(std::move(student), input.options), judges,
                                 rows, input.options);
}

// The loop, here and wherever else there are processes that train along.
Result<LoopOutcome> train_rows(const LoopInput& loop, model::Weights& weights,
                               model::Adapter* adapter, OnlineTeacher* teacher) {
  if (loop.collective->size() > 1) {
    base::log_info("{} processes train together", loop.collective->size());
    give_lesson(*loop.collective, loop, weights, adapter, teacher);
  }
  return run_loop(weights, loop, adapter);
}

}  // namespace

Result<Outcome> fit(const FitInput& input, const lineage::LoggedRun& run) {
  check_logged(input, run.manifest());
  RETORT_TRY_VOID(validate(input.options));
  RETORT_TRY_VOID(check_collective(input));
  RETORT_TRY_VOID(check_isolation(input));
  RETORT_TRY(const auto format, tokenizer::ChatFormat::detect(*input.tokenizer));
  RETORT_TRY(model::Weights weights, first_weights(input));
  const model::Config config = weights.config();
  const int64_t limit = std::min(input.options.batch_tokens, config.max_positions);
  RETORT_TRY(auto teacher, open_teacher(input, config.vocab));
  RETORT_TRY(auto door, open_door(input, format));
  RETORT_TRY(Rows rows, rows_of(input, {*input.tokenizer, format, limit, teacher.get(), door.get(),
                                        input.student.without_system}));
  if (teacher) {
    RETORT_TRY(const model::Precision precision, parse_precision(input.options.precision));
    const bool samples = input.options.on_policy > 0;
    RETORT_TRY_VOID(teacher->prepare(input.options.batch_tokens,
                                     samples ? input.options.rollout_tokens : 0, precision));
  }
  if (draws_targets(input.options)) {
    RETORT_TRY(rows, draw_rows(input, std::move(rows), *teacher, config.vocab));
    teacher.reset();  // its memory is free for the training
  }
  Scorer* scorer = teacher ? static_cast<Scorer*>(teacher.get()) : door.get();
  if (learns_pairs(input.options)) {
    RETORT_TRY(rows, pairs_of(input, std::move(rows), scorer, weights));
  }
  if (samples_first(input.options)) {
    const Rollouts rollouts({weights, nullptr, input.tokenizer, format.stop_token()},
                            input.options);
    RETORT_TRY(rows.data, first_answers(rollouts, *scorer, rows.data.rows));
    teacher.reset();
    scorer = nullptr;
  }
  const Examples& data = rows.data;
  show_first(data, *input.tokenizer);
  tell_sizes(config, data);
  if (input.part_of && input.options.lora_rank == 0) tell_remedies(input, data);
  RETORT_TRY(auto adapter, first_adapter(input, config));
  const model::LoraConfig* lora = adapter ? &adapter->lora() : nullptr;
  RETORT_TRY(
      TrainOptions options,
      fit_into_memory(input, config, lora,
                      teacher ? teacher->memory_bytes() + model::Network::teacher_bytes(
                                                              config, input.options.batch_tokens)
                              : 0));
  model::Adapter* const trained = adapter ? &*adapter : nullptr;
  auto on_policy =
      own_answers(input, {weights, trained, input.tokenizer, format.stop_token()},
                  {.distributions = asks_scores(input.options) ? nullptr : teacher.get(),
                   .scores = asks_scores(input.options) ? scorer : nullptr},
                  data.rows);
  const auto measure = limit_of(config, data, input.options, lora);
  const LoopInput loop{
      .data = data,
      .held_out = rows.held_out,
      .options = std::move(options),
      .teacher = teacher.get(),
      .own_answers = on_policy ? &*on_policy : nullptr,
      .spoken = input.tokenizer->size(),
      .measure_start = input.base_weights != nullptr,
      .folder = input.folder,
      .identity = identity_of(input),
      .limit = [&](model::Precision p) { return input.limit ? input.limit() : measure(p); },
      .on_step = input.on_step,
      .at_save_point = nullptr,
      .collective = input.collective == nullptr ? &alone() : input.collective};
  RETORT_TRY(const LoopOutcome done, train_rows(loop, weights, trained, teacher.get()));
  if (adapter) model::merge(weights, *adapter);
  return Outcome{.weights = std::move(weights),
                 .adapter = std::move(adapter),
                 .state = done.state,
                 .total_steps = done.total_steps,
                 .records = static_cast<int64_t>(data.rows.size()),
                 .too_long = data.too_long,
                 .trained_tokens = data.trained_tokens(),
                 .held_out_records = static_cast<int64_t>(rows.held_out.rows.size()),
                 .resumed_step = done.resumed_step,
                 .refused_steps = done.refused_steps,
                 .kept = done.kept,
                 .stopped_early = done.stopped_early,
                 .weights_of_best_step = done.restored_best,
                 .limit_tokens_per_second = done.limit_tokens_per_second,
                 .precision = done.precision};
}

}  // namespace retort::train
