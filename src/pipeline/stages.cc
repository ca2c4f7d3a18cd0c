// The stages: each reads what an earlier one left in the run's folder, calls one room, and counts.
#include <fmt/core.h>

#include <optional>
#include <set>

#include "base/files.h"
#include "base/log.h"
#include "collect/collect.h"
#include "corpus/shard.h"
#include "curate/curate.h"
#include "pipeline/child.h"
#include "pipeline/licence_texts.h"
#include "pipeline/permission.h"
#include "pipeline/stage.h"
#include "pipeline/student_files.h"
#include "tokenizer/bpe_trainer.h"
#include "train/fit.h"
#include "train/objective.h"
#include "train/start.h"

namespace retort::pipeline {
namespace {

using corpus::Cleared;
using terms::Evaluate;
using terms::TrainGenerative;

constexpr const char* kRemap = "remap.json";  // beside a trimmed tokenizer
constexpr int64_t kLogprobsServed = 20;       // as a server offers them by itself

void count(Summary& summary, const std::string& name, double value) {
  summary.counts.emplace_back(name, value);
}
void count(Summary& summary, const std::string& name, int64_t value) {
  count(summary, name, static_cast<double>(value));
}

// The teacher of this run as a child process; its port goes into `teacher`.
Result<Child> start_teacher(const RunContext& context, collect::Teacher& teacher) {
  if (!base::exists(context.options.serve)) {
    return base::bad_input("the teacher's file is not there", context.options.serve,
                           "put it there; ./dev quickstart fetches that of the example");
  }
  const std::string folder = context.path("teacher");
  RETORT_TRY_VOID(base::make_directories(folder));
  const std::string ready = base::join(folder, "port");
  base::log_info("serving {} on loopback for this run", context.options.serve);
  Child::Start start;
  start.arguments = {
      own_program(), "serve", "--model", context.options.serve, "--model-id", teacher.model,
      "--port", "0", "--port-file", ready, "--max-batch",
      std::to_string(context.options.serve_batch),
      // A key in the environment is for the user's own door, not for this one.
      "--api-key", "", "--max-logprobs",
      std::to_string(std::max(context.options.collect.top_logprobs, kLogprobsServed))};
  start.log_path = base::join(folder, "serve.log");
  start.ready_path = ready;
  RETORT_TRY(auto child, Child::start(start));
  teacher.base_url = fmt::format("http://127.0.0.1:{}/v1", child.port());
  return child;
}

Result<void> import_own_data(RunContext& context, Permission& permission, Summary& summary) {
  RETORT_TRY(const auto sealed, corpus::import_jsonl(context.options.own_data, *permission.log,
                                                     {.terms = context.options.own_terms,
                                                      .seal = {.folder = context.path("shards")}}));
  count(summary, "imported", sealed.records + sealed.already);
  return {};
}

Result<void> ask_teacher(RunContext& context, Permission& permission, Summary& summary) {
  const std::string database = context.path("corpus.db");
  collect::Teacher teacher = teacher_of(context.options);
  RETORT_TRY(const auto expected, collect::estimate(teacher, context.options.collect, database, 0));
  // A finished collection needs no teacher: starting one would cost seconds for nothing.
  std::optional<Child> child;
  if (expected.done < expected.requests && !context.options.serve.empty()) {
    RETORT_TRY(auto started, start_teacher(context, teacher));
    child.emplace(std::move(started));
  }
  RETORT_TRY(const auto gathered, collect::collect(teacher, context.options.collect,
                                                   {.database = database,
                                                    .shards = context.path("shards"),
                                                    .principal = "retort run"},
                                                   *permission.log));
  count(summary, "planned", gathered.planned);
  count(summary, "done", gathered.done);
  count(summary, "failed", gathered.failed);
  count(summary, "requests", gathered.requests);
  count(summary, "retries", gathered.retries);
  count(summary, "resent", gathered.resent);
  count(summary, "prompt_tokens", gathered.spend.prompt_tokens);
  count(summary, "completion_tokens", gathered.spend.completion_tokens);
  count(summary, "cost_microusd", gathered.spend.cost_micros);
  for (const auto& [reason, times] : gathered.finish_reasons) {
    count(summary, "finish." + reason, times);
  }
  summary.notes = gathered.notes;
  return {};
}

Result<void> run_collect(RunContext& context, Summary& summary) {
  RETORT_TRY(auto permission, Permission::open(context.options, context.ledger));
  if (!context.options.own_data.empty()) {
    RETORT_TRY_VOID(import_own_data(context, permission, summary));
  }
  if (context.options.serve.empty() && context.options.teacher.base_url.empty()) return {};
  return ask_teacher(context, permission, summary);
}

// A database may hold answers to an earlier version of the run file; only what is asked for now
// counts. Own data is wanted whole.
Result<std::optional<std::set<std::string>>> wanted_keys(const RunOptions& options) {
  if (!options.own_data.empty()) return std::optional<std::set<std::string>>{};
  RETORT_TRY(auto keys, collect::planned_keys(teacher_of(options), options.collect));
  return std::optional(std::move(keys));
}

Result<void> run_curate(RunContext& context, Summary& summary) {
  RETORT_TRY(auto permission, Permission::open(context.options, context.ledger));
  RETORT_TRY(const auto wanted, wanted_keys(context.options));
  const auto curated =
      curate::curate(*permission.clearance, *permission.log, context.options.curate,
                     {.shards = context.path("shards"), .curated = context.path("curated")},
                     wanted ? &*wanted : nullptr);
  RETORT_TRY_VOID(permission.write(context.options.out));
  if (!curated) return curated.error();
  count(summary, "records", curated->records);
  count(summary, "train", curated->train);
  count(summary, "held_out", curated->held_out);
  summary.notes = curated->notes;
  return {};
}

corpus::Selection selection(const RunContext& context, const char* split, const char* label,
                            bool logprobs = false) {
  return {
      .folder = context.path("curated"), .split = split, .path_label = label, .logprobs = logprobs};
}

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

// The weights that the student starts from, where it does not start from scratch.
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

Result<void> learn_tokenizer(const RunContext& context, const Cleared<TrainGenerative>& data,
                             Summary& summary) {
  tokenizer::BpeTrainerOptions options;
  options.vocab_size = context.options.vocab_size;
  RETORT_TRY(const auto trained, tokenizer::train_bpe(corpus::Clearance::text(data), options));
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

// Learnt from the answers, or that of the weights that the student starts from.
Result<void> run_tokenizer(RunContext& context, Summary& summary) {
  RETORT_TRY(auto permission, Permission::open(context.options, context.ledger));
  auto& clearance = *permission.clearance;
  RETORT_TRY(const auto data,
             clearance.clear<TrainGenerative>(selection(context, "train", "tokenizer trainer")));
  RETORT_TRY(const auto base_weights, clear_base_weights(context, clearance));
  RETORT_TRY_VOID(permission.write(context.options.out));
  if (!base_weights) return learn_tokenizer(context, data, summary);
  return take_tokenizer(context, *base_weights, data, summary);
}

Result<std::shared_ptr<const tokenizer::Tokenizer>> student_tokenizer(const RunContext& context) {
  return tokenizer::load_tokenizer_json(context.path("tokenizer/tokenizer.json"));
}

// How an adapter names the weights that it stands beside: as their terms do, where that is known.
std::string base_name(const RunContext& context) {
  const auto& options = context.options;
  return options.student_model.empty() ? base::base_name(options.student.from)
                                       : options.student_model;
}

Result<void> save_trained(const RunContext& context, const train::Outcome& trained) {
  const std::string folder = context.path("train/final");
  if (!trained.adapter) return save_student(trained.weights, folder);
  const TrainedAdapter adapter{*trained.adapter, base_name(context)};
  return save_student(trained.weights, folder, &adapter);
}

// The base's id of each of the student's tokens, where its tokenizer is a trimmed one.
Result<std::vector<tokenizer::TokenId>> kept_tokens(const RunContext& context) {
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

Result<void> run_train(RunContext& context, Summary& summary) {
  RETORT_TRY(auto permission, Permission::open(context.options, context.ledger));
  auto& clearance = *permission.clearance;
  const bool recorded = train::reads_recorded(context.options.train);
  RETORT_TRY(const auto data,
             clearance.clear<TrainGenerative>(selection(context, "train", "optimizer", recorded)));
  RETORT_TRY(const auto held_out,
             clearance.clear<Evaluate>(selection(context, "held_out", "held-out loss", recorded)));
  RETORT_TRY(const auto base_weights, clear_base_weights(context, clearance));
  RETORT_TRY(const auto teacher, clear_teacher(context, clearance));
  RETORT_TRY_VOID(permission.write(context.options.out));
  RETORT_TRY(const auto tokenizer, student_tokenizer(context));
  RETORT_TRY(auto base_ids, kept_tokens(context));
  RETORT_TRY(const auto trained,
             train::fit({.data = data,
                         .held_out = held_out.size() > 0 ? &held_out : nullptr,
                         .teacher = teacher ? &*teacher : nullptr,
                         .base_weights = base_weights ? &*base_weights : nullptr,
                         .tokenizer = tokenizer,
                         .kept_tokens = std::move(base_ids),
                         .options = context.options.train,
                         .student = context.options.student,
                         .folder = context.path("train")}));
  RETORT_TRY_VOID(save_trained(context, trained));
  const auto& state = trained.state;
  count(summary, "parameters", trained.weights.config().parameters());
  if (trained.adapter) {
    count(summary, "adapter_parameters", static_cast<int64_t>(trained.adapter->block().size()));
  }
  count(summary, "records", trained.records);
  count(summary, "too_long", trained.too_long);
  count(summary, "steps", state.step);
  count(summary, "epochs", context.options.train.epochs);
  count(summary, "tokens", state.tokens);
  count(summary, "loss", state.last_loss);
  count(summary, "held_out_loss", state.held_out_loss);
  if (state.start_loss > 0) count(summary, "held_out_loss_before", state.start_loss);
  count(summary, "tokens_per_second",
        state.seconds > 0 ? static_cast<double>(state.tokens) / state.seconds : 0);
  count(summary, "limit_tokens_per_second", trained.limit_tokens_per_second);
  count(summary, "refused_steps", trained.refused_steps);
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
  RETORT_TRY(const auto measured,
             evaluate::evaluate({.held_out = held_out,
                                 .training = training,
                                 .student = student,
                                 .tokenizer = tokenizer,
                                 .options = context.options.evaluate,
                                 .sampling = {.temperature = asked.temperature,
                                              .top_p = asked.top_p,
                                              .top_k = asked.top_k,
                                              .repetition_penalty = asked.repetition_penalty,
                                              .seed = 1},
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

release::ModelFacts facts_of(const RunContext& context) {
  release::ModelFacts facts;
  facts.teacher = context.options.teacher.model;
  facts.program = "retort " RETORT_VERSION;
  facts.command = context.command;
  for (const char* stage : {"curate", "train"}) {
    const auto summary = read_summary(context.options.out, stage);
    if (!summary) continue;
    for (const auto& [name, value] : summary->counts) {
      if (name == "train" || name == "parameters" || name == "tokens") {
        facts.counts.emplace_back(name == "train" ? "records learnt from" : name,
                                  static_cast<int64_t>(value));
      }
    }
  }
  if (const auto evaluated = read_summary(context.options.out, "evaluate")) {
    facts.notes = evaluated->notes;
  }
  return facts;
}

Result<void> add_terms_facts(const RunContext& context, release::ModelFacts& facts,
                             int64_t records) {
  RETORT_TRY(const auto all, terms_of(context.options));
  for (const auto* terms : all.all()) {
    release::TermsFact fact;
    fact.series = terms->series;
    fact.version = terms->version;
    fact.id = terms->id;
    fact.basis = terms::name(terms->basis);
    fact.reader = terms->reader;
    fact.source_url = terms->url;
    for (const auto& rule : terms->rules) {
      if (rule.action == terms::Action::train_generative) fact.clause = rule.text;
    }
    fact.records = records;
    facts.terms.push_back(std::move(fact));
  }
  return {};
}

// A model owes what its records ask for, and what the weights ask for that it started from.
Result<corpus::ExportPermit> permit_export(const RunContext& context,
                                           corpus::Clearance& clearance) {
  const auto learnt_from = selection(context, "train", "export");
  RETORT_TRY(const auto base_weights, clear_base_weights(context, clearance));
  if (!base_weights) return clearance.permit_export(learnt_from);
  return clearance.permit_export(learnt_from, *base_weights, context.options.student_terms);
}

Result<void> run_export(RunContext& context, Summary& summary) {
  RETORT_TRY(auto permission, Permission::open(context.options, context.ledger));
  RETORT_TRY(const auto permit, permit_export(context, *permission.clearance));
  RETORT_TRY_VOID(permission.write(context.options.out));
  RETORT_TRY(const auto tokenizer, student_tokenizer(context));
  RETORT_TRY(const auto student, load_student(context.path("train/final")));
  RETORT_TRY(const auto adapter,
             load_student_adapter(context.path("train/final"), student.config()));
  RETORT_TRY(auto texts, licence_texts(context.options, permit.duties()));
  release::ModelFacts facts = facts_of(context);
  RETORT_TRY_VOID(add_terms_facts(context, facts, permit.permit().records));
  release::ExportInput input{.weights = student,
                             .adapter = adapter ? &*adapter : nullptr,
                             .base_name = base_name(context),
                             .tokenizer = tokenizer,
                             .out_folder = context.options.out,
                             .options = context.options.exporting,
                             .facts = std::move(facts),
                             .licence_texts = std::move(texts),
                             .questions = {},
                             .on_written = nullptr};
  RETORT_TRY(const auto report, release::export_model(permit, input));
  count(summary, "bytes", report.size_bytes);
  count(summary, "checks", static_cast<int64_t>(report.checks.size()));
  for (const auto& check : report.checks) summary.notes.push_back(release::sentence(check));
  for (const auto& duty : report.duties) summary.notes.push_back(duty);
  return {};
}

// Only what follows from the stage's options alone may go; answers are never thrown away.
Result<void> forget_training(RunContext& context) {
  return base::remove_all(context.path("train"));
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
       .run = run_curate},
      {.name = "tokenizer",
       .tables = {"tokenizer", "student", "purpose"},
       .inputs = {"curated"},
       .outputs = {"tokenizer"},
       .run = run_tokenizer},
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
       .run = run_export},
  };
}

}  // namespace retort::pipeline
