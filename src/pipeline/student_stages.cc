// The student: its tokenizer, its training, its evaluation.
#include <fmt/core.h>

#include "base/files.h"
#include "evaluate/evaluate.h"
#include "json/value.h"
#include "pipeline/adapters.h"
#include "pipeline/isolation.h"
#include "pipeline/lineage_entries.h"
#include "pipeline/machine.h"
#include "pipeline/student_inputs.h"
#include "tokenizer/bpe_trainer.h"
#include "tokenizer/trim.h"
#include "train/start.h"

namespace retort::pipeline {
namespace {

using corpus::Cleared;
using terms::Evaluate;
using terms::TrainGenerative;

constexpr const char* kRemap = "remap.json";  // beside a trimmed tokenizer

// The teacher's weights, where the student learns from its distributions.
Result<std::optional<corpus::ClearedWeights<TrainGenerative>>> clear_teacher(
    const RunContext& context, corpus::Clearance& clearance) {
  const auto& options = context.options;
  if (!train::asks_teacher(options.train) || options.serve.empty()) {
    return std::optional<corpus::ClearedWeights<TrainGenerative>>{};
  }
  RETORT_TRY(auto cleared, clearance.clear_weights<TrainGenerative>(
                               options.serve, options.teacher.model, options.teacher.terms));
  return std::optional(std::move(cleared));
}

// The teacher's address, where it is asked over HTTP what it thinks of the student's answers.
Result<std::optional<corpus::ClearedDoor<TrainGenerative>>> clear_door(
    const RunContext& context, corpus::Clearance& clearance) {
  const auto& options = context.options;
  if (!train::asks_door(options.train)) {
    return std::optional<corpus::ClearedDoor<TrainGenerative>>{};
  }
  RETORT_TRY(auto cleared,
             clearance.clear_door<TrainGenerative>({.base_url = options.teacher.base_url,
                                                    .route = kScoringRoute,
                                                    .model = options.teacher.model},
                                                   options.teacher.terms));
  return std::optional(std::move(cleared));
}

// `kept_tokens`: of a trimmed one, the base's id of each token; else empty.
Result<void> save_tokenizer(const RunContext& context, const tokenizer::Tokenizer& tokenizer,
                            const std::vector<tokenizer::TokenId>& kept_tokens = {}) {
  const std::string writing = context.path("tokenizer.writing");
  RETORT_TRY_VOID(base::remove_all(writing));
  RETORT_TRY_VOID(base::make_directories(writing));
  RETORT_TRY_VOID(tokenizer::save_tokenizer(tokenizer, writing));
  if (!kept_tokens.empty()) {
    RETORT_TRY_VOID(tokenizer::save_remap(kept_tokens, base::join(writing, kRemap)));
  }
  return base::publish_directory(writing, context.path("tokenizer"));
}

Result<void> learn_tokenizer(const RunContext& context,
                             const terms::ClearedText<TrainGenerative>& texts, Summary& summary) {
  tokenizer::BpeTrainerOptions options;
  options.vocab_size = context.options.vocab_size;
  RETORT_TRY(const auto trained, tokenizer::train_bpe(texts, options));
  RETORT_TRY_VOID(save_tokenizer(context, *trained.tokenizer));
  count(summary, "tokens", trained.tokenizer->size());
  count(summary, "corpus_bytes", trained.corpus_bytes);
  count(summary, "distinct_words", trained.distinct_words);
  if (trained.stopped_early) {
    summary.notes.push_back(
        fmt::format("the corpus had too few pairs for {} tokens; the tokenizer has {}",
                    options.vocab_size, trained.tokenizer->size()));
  }
  return {};
}

Result<void> take_tokenizer(const RunContext& context,
                            const corpus::ClearedWeights<TrainGenerative>& base_weights,
                            const Cleared<TrainGenerative>& data, Summary& summary) {
  RETORT_TRY(const auto whole, train::base_tokenizer(base_weights));
  count(summary, "base_tokens", whole->size());
  if (!context.options.student.trim_vocab) {
    count(summary, "tokens", whole->size());
    return save_tokenizer(context, *whole);
  }
  RETORT_TRY(const auto trimmed, train::trim_tokenizer(*whole, data));
  count(summary, "tokens", trimmed.tokenizer->size());
  return save_tokenizer(context, *trimmed.tokenizer, trimmed.old_ids);
}

Result<void> save_trained(const RunContext& context, const train::Outcome& trained) {
  const std::string folder = context.path("train/final");
  if (!trained.adapter) return save_student(trained.weights, folder);
  const TrainedAdapter adapter{*trained.adapter, base_name(context)};
  return save_student(trained.weights, folder, &adapter);
}

// The base's id of each of the student's tokens, where its tokenizer is a trimmed one.
Result<std::vector<tokenizer::TokenId>> read_kept_tokens(const RunContext& context) {
  if (!context.options.student.trim_vocab) return std::vector<tokenizer::TokenId>{};
  return tokenizer::load_remap(base::join(context.path("tokenizer"), kRemap));
}

// What a pruned start cost, as the trainer wrote it.
void count_start(const RunContext& context, Summary& summary) {
  const std::string path = context.path("train/start.json");
  const auto text = base::read_file(path, int64_t{16} << 20);
  if (!text) return;
  const auto start = json::parse(*text, path);
  for (const char* name : {"base_parameters", "base_loss", "loss"}) {
    const json::Value* value = start ? start->find(name) : nullptr;
    if (value == nullptr || !value->is_number()) continue;
    count(summary, std::string(name) == "loss" ? "start_loss" : name, value->as_number());
  }
}

}  // namespace

// Learnt from the answers, or that of the weights that the student starts from.
Result<void> run_tokenizer(RunContext& context, Summary& summary) {
  RETORT_TRY(auto permission, Permission::open(context.options, context.ledger));
  auto& clearance = *permission.clearance;
  RETORT_TRY(const auto data,
             clearance.clear<TrainGenerative>(selection(context, "train", "tokenizer trainer")));
  RETORT_TRY(const auto base_weights, clear_base_weights(context, clearance));
  RETORT_TRY_VOID(permission.write(context.options.out));
  if (!base_weights) {
    const auto texts = tokenizer_texts(data, parts_of(context, clearance));
    return learn_tokenizer(context, texts, summary);
  }
  return take_tokenizer(context, *base_weights, data, summary);
}

Result<StudentInputs> StudentInputs::clear(const RunContext& context, Permission& permission) {
  auto& clearance = *permission.clearance;
  const bool recorded = train::reads_recorded(context.options.train);
  RETORT_TRY(auto data,
             clearance.clear<TrainGenerative>(selection(context, "train", "optimizer", recorded)));
  RETORT_TRY(auto held_out,
             clearance.clear<Evaluate>(selection(context, "held_out", "held-out loss", recorded)));
  RETORT_TRY(auto base_weights, clear_base_weights(context, clearance));
  RETORT_TRY(auto teacher, clear_teacher(context, clearance));
  RETORT_TRY(auto door, clear_door(context, clearance));
  RETORT_TRY_VOID(permission.write(context.options.out));
  RETORT_TRY(auto tokenizer, student_tokenizer(context));
  RETORT_TRY(auto base_ids, read_kept_tokens(context));
  return StudentInputs{
      std::move(data), std::move(held_out),  std::move(base_weights), std::move(teacher),
      std::move(door), std::move(tokenizer), std::move(base_ids),     parts_of(context, clearance)};
}

train::FitInput StudentInputs::fit(const RunContext& context) const {
  return {.data = data,
          .held_out = held_out.size() > 0 ? &held_out : nullptr,
          .teacher = teacher ? &*teacher : nullptr,
          .door = door ? &*door : nullptr,
          .api_key_env = context.options.teacher.api_key_env,
          .scores = context.path("scores.jsonl"),
          .base_weights = base_weights ? &*base_weights : nullptr,
          .tokenizer = tokenizer,
          .kept_tokens = kept_tokens,
          .options = context.options.train,
          .student = context.options.student,
          .part_of = part_of,
          .folder = context.path("train"),
          .collective = context.collective};
}

Result<void> run_train(RunContext& context, Summary& summary) {
  if (has_adapters_apart(context.options)) return run_train_apart(context, summary);
  RETORT_TRY(auto permission, Permission::open(context.options, context.ledger));
  RETORT_TRY(const auto inputs, StudentInputs::clear(context, permission));
  const train::FitInput input = inputs.fit(context);
  RETORT_TRY(const auto run, log_run(context, *permission.log,
                                     {.data = input.data,
                                      .held_out = input.held_out,
                                      .base = input.base_weights,
                                      .teacher = input.teacher,
                                      .door = input.door,
                                      .isolated = isolated_json(input.data, input.part_of)}));
  RETORT_TRY(const auto trained, train::fit(input, run));
  RETORT_TRY_VOID(save_trained(context, trained));
  RETORT_TRY_VOID(
      log_checkpoint(context, *permission.log, run.manifest(), kept_json(trained.kept)));
  const auto& state = trained.state;
  count(summary, "parameters", trained.weights.config().parameters());
  if (trained.adapter) {
    count(summary, "adapter_parameters", static_cast<int64_t>(trained.adapter->block().size()));
  }
  count(summary, "records", trained.records);
  count(summary, "too_long", trained.too_long);
  count(summary, "steps", state.step);
  if (trained.resumed_step >= 0) count(summary, "resumed_step", trained.resumed_step);
  count(summary, "epochs", context.options.train.epochs);
  count(summary, "tokens", state.tokens);
  count(summary, "first_loss", state.first_loss);
  count(summary, "loss", state.last_loss);
  count(summary, "held_out_loss", state.held_out_loss);
  if (state.start_loss > 0) count(summary, "held_out_loss_before", state.start_loss);
  count(summary, "tokens_per_second",
        state.seconds > 0 ? static_cast<double>(state.tokens) / state.seconds : 0);
  count(summary, "limit_tokens_per_second", trained.limit_tokens_per_second);
  count(summary, "refused_steps", trained.refused_steps);
  count(summary, "training_seconds", state.seconds);
  count(summary, "peak_memory_bytes", peak_memory_bytes());
  count_start(context, summary);
  if (trained.stopped_early) {
    summary.notes.push_back("training stopped early: the held-out loss no longer fell");
  }
  if (trained.weights_of_best_step) {
    summary.notes.push_back(
        "the weights are those of the lowest held-out loss, so the held-out "
        "figures are a little too good");
  }
  return {};
}

Result<void> run_evaluate(RunContext& context, Summary& summary) {
  RETORT_TRY(auto permission, Permission::open(context.options, context.ledger));
  auto& clearance = *permission.clearance;
  RETORT_TRY(const auto held_out,
             clearance.clear<Evaluate>(selection(context, "held_out", "evaluation")));
  RETORT_TRY(const auto training,
             clearance.clear<TrainGenerative>(selection(context, "train", "n-gram baseline")));
  RETORT_TRY_VOID(permission.write(context.options.out));
  if (held_out.size() == 0) {
    summary.notes.push_back("nothing was held out, so nothing could be measured");
    return base::make_directories(context.path("evaluate"));
  }
  RETORT_TRY(const auto tokenizer, student_tokenizer(context));
  RETORT_TRY(const auto student, load_student(context.path("train/final")));
  const auto& asked = context.options.collect;
  const engine::Sampling sampling = {.temperature = asked.temperature,
                                     .top_p = asked.top_p,
                                     .top_k = asked.top_k,
                                     .repetition_penalty = asked.repetition_penalty,
                                     .seed = 1};
  RETORT_TRY(const auto measured,
             evaluate::evaluate({.held_out = held_out,
                                 .training = training,
                                 .student = student,
                                 .tokenizer = tokenizer,
                                 .options = context.options.evaluate,
                                 .sampling = sampling,
                                 .max_tokens = asked.max_tokens,
                                 .without_system = context.options.student.without_system,
                                 .folder = context.path("evaluate"),
                                 .notes = {}}));
  count(summary, "records", measured.records);
  count(summary, "prompts", measured.prompts);
  count(summary, "student_bits_per_byte", measured.student_bits.value);
  count(summary, "ngram_bits_per_byte", measured.ngram_bits.value);
  summary.notes = measured.notes;
  return {};
}

}  // namespace retort::pipeline
