#include "train/fit.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>

#include "base/check.h"
#include "base/cpu.h"
#include "base/log.h"
#include "base/progress.h"
#include "tokenizer/chat.h"
#include "train/examples.h"
#include "train/logprob_rows.h"
#include "train/loop_internal.h"
#include "train/objective.h"
#include "train/online_teacher_internal.h"
#include "train/pairs_internal.h"
#include "train/probe.h"
#include "train/rollout_internal.h"
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

struct Reading {
  const tokenizer::Tokenizer& tokenizer;
  const tokenizer::ChatFormat& format;
  int64_t limit;           // inputs of a row
  OnlineTeacher* teacher;  // reads along, system messages and all; may be null
  bool without_system;
};

// Answers that the student's tokenizer cuts into other tokens than the teacher's: a few may be left
// out of the training data. Held-out ones may be many, since a vocabulary is not trimmed to their
// words.
Result<void> check_cut(int64_t otherwise, int64_t alike, bool learnt) {
  constexpr int64_t kOneIn = 5;
  if (otherwise == 0) return {};
  const std::string what =
      fmt::format("{} of {} answers are other tokens for the student than for the teacher",
                  otherwise, otherwise + alike);
  if (learnt && otherwise * kOneIn > otherwise + alike) {
    return base::bad_input(what, "train.objective", "use objective = \"sequence_kd\"");
  }
  base::log_warning("{}, and are left out", what);
  return {};
}

template <class ActionTag>
Result<Examples> examples_of(const corpus::Cleared<ActionTag>& cleared, const Reading& reading) {
  ExampleBuilder builder(reading.tokenizer, reading.format, reading.limit);
  int64_t cut_otherwise = 0;
  for (const corpus::Record& record : cleared.records()) {
    dialog::Messages messages = record.messages;
    messages.push_back({dialog::Role::assistant, record.answer});
    RETORT_TRY(Example* const row,
               builder.add(record.key,
                           reading.without_system ? dialog::without_system(messages) : messages));
    if (row == nullptr || reading.teacher == nullptr) continue;
    RETORT_TRY(const auto source, reading.teacher->add(record.key, messages, *row));
    if (source) {
      row->source = *source;
    } else {
      builder.drop_last();
      ++cut_otherwise;
    }
  }
  Examples examples = builder.take();
  RETORT_TRY_VOID(check_cut(cut_otherwise, static_cast<int64_t>(examples.rows.size()),
                            ActionTag::kAction == terms::Action::train_generative));
  return examples;
}

// The teacher's recorded distributions, for each example of these records.
template <class ActionTag>
Result<void> attach_recorded(const corpus::Cleared<ActionTag>& cleared, const Reading& reading,
                             Examples& examples) {
  RETORT_TRY(auto recorded, logprob_rows(cleared, examples, reading.tokenizer, reading.format));
  for (size_t i = 0; i < examples.rows.size(); ++i) {
    examples.rows[i].teacher = std::move(recorded.of_example[i]);
  }
  const LogprobCounts& counts = recorded.counts;
  base::log_info("the teacher's log-probabilities stand at {} of {} tokens ({:.1f} %)",
                 base::grouped(counts.aligned), base::grouped(counts.tokens), 100 * counts.share());
  return {};
}

// What the teacher said of each answer when it gave it, nats a token; NaN where it said nothing.
template <class ActionTag>
std::vector<double> recorded_scores(const corpus::Cleared<ActionTag>& cleared,
                                    const Examples& examples) {
  std::map<std::string, double> by_key;
  for (int64_t i = 0; i < cleared.size(); ++i) {
    const auto tokens = cleared.logprobs(i);
    double sum = 0;
    for (const auto& token : tokens) {
      sum += static_cast<double>(token.entries[static_cast<size_t>(token.chosen)].logprob);
    }
    by_key[cleared[i].key] = tokens.empty() ? NAN : sum / static_cast<double>(tokens.size());
  }
  std::vector<double> scores;
  for (const Example& row : examples.rows) scores.push_back(by_key.at(row.key));
  return scores;
}

// Only the last answer of each row stays to be learnt; pairs of them by what the teacher thinks.
template <class ActionTag>
Result<Examples> ranked_pairs(const corpus::Cleared<ActionTag>& cleared, const FitInput& input,
                              OnlineTeacher* teacher, Examples examples) {
  for (Example& row : examples.rows) {
    std::fill_n(row.trained.begin(), answer_start(row), false);
  }
  std::vector<double> scores;
  if (teacher != nullptr) {
    RETORT_TRY_VOID(teacher->score(examples.rows));
    for (const Example& row : examples.rows) scores.push_back(mean_reference(row));
  } else {
    scores = recorded_scores(cleared, examples);
  }
  Pairs pairs = pair_up(std::move(examples.rows), scores, input.options.batch_tokens);
  base::log_info("{} pairs of answers; {} answers have none that is ranked otherwise",
                 pairs.data.rows.size() / 2, pairs.alone);
  if (pairs.data.rows.empty() && ActionTag::kAction == terms::Action::train_generative) {
    return base::bad_input(
        "no prompt has two answers that the teacher ranks differently", "train.objective",
        "ask for several with collect.samples, and see that curation keeps them");
  }
  pairs.data.too_long += examples.too_long;
  return std::move(pairs.data);
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

// Said before anything is computed; memory that this machine has not got ends a run much later.
Result<void> check_memory(const FitInput& input, const model::Config& config,
                          const model::LoraConfig* lora, int64_t teacher_bytes) {
  RETORT_TRY(const model::Precision precision, parse_precision(input.options.precision));
  const int64_t needed =
      training_memory_bytes(config, input.options, precision, lora) + teacher_bytes;
  const int64_t there = base::total_memory_bytes();
  base::log_info("training takes about {} of memory", base::human_bytes(needed));
  if (needed <= there) return {};
  return base::usage_error(fmt::format("training takes about {} of memory, this machine has {}",
                                       base::human_bytes(needed), base::human_bytes(there)),
                           "train.batch_tokens",
                           "lower it (train.accumulate keeps a step's size), or set lora_rank");
}

std::string digest_or_none(const corpus::ClearedWeights<terms::TrainGenerative>* weights) {
  return weights == nullptr ? "" : weights->digest();
}

void check_logged(const FitInput& input, const lineage::RunManifest& run) {
  RETORT_CHECK(run.selection == input.data.digest(), "the manifest is of other records");
  RETORT_CHECK((run.base ? run.base->digest : "") == digest_or_none(input.base_weights),
               "the manifest is of other weights");
  RETORT_CHECK((run.teachers.empty() ? "" : run.teachers[0].digest) ==
                   digest_or_none(input.teacher),
               "the manifest is of another teacher");
}

}  // namespace

Result<Outcome> fit(const FitInput& input, const lineage::LoggedRun& run) {
  check_logged(input, run.manifest());
  RETORT_TRY_VOID(validate(input.options));
  RETORT_TRY(const auto format, tokenizer::ChatFormat::detect(*input.tokenizer));
  RETORT_TRY(model::Weights weights, first_weights(input));
  const model::Config config = weights.config();
  const int64_t limit = std::min(input.options.batch_tokens, config.max_positions);
  RETORT_TRY(const auto teacher, open_teacher(input, config.vocab));
  const Reading reading{*input.tokenizer, format, limit, teacher.get(),
                        input.student.without_system};
  RETORT_TRY(Examples data, examples_of(input.data, reading));
  Examples held_out;
  if (input.held_out != nullptr) {
    RETORT_TRY(held_out, examples_of(*input.held_out, reading));
  }
  if (reads_recorded(input.options) && needs_teacher(input.options)) {
    RETORT_TRY_VOID(attach_recorded(input.data, reading, data));
    if (input.held_out != nullptr) {
      RETORT_TRY_VOID(attach_recorded(*input.held_out, reading, held_out));
    }
  }
  if (teacher) {
    RETORT_TRY(const model::Precision precision, parse_precision(input.options.precision));
    const bool samples = input.options.on_policy > 0;
    RETORT_TRY_VOID(teacher->prepare(input.options.batch_tokens,
                                     samples ? input.options.rollout_tokens : 0, precision));
  }
  if (learns_pairs(input.options)) {
    RETORT_TRY(data, ranked_pairs(input.data, input, teacher.get(), std::move(data)));
    if (input.held_out != nullptr) {
      RETORT_TRY(held_out,
                 ranked_pairs(*input.held_out, input, teacher.get(), std::move(held_out)));
    }
    RETORT_TRY(const model::Precision precision, parse_precision(input.options.precision));
    model::Network start(weights, input.options.batch_tokens, precision, nullptr,
                         model::Use::inference);
    refer_to(start, data.rows, input.options.batch_tokens);
    refer_to(start, held_out.rows, input.options.batch_tokens);
  }
  show_first(data, *input.tokenizer);
  tell_sizes(config, data);
  RETORT_TRY(auto adapter, first_adapter(input, config));
  RETORT_TRY_VOID(
      check_memory(input, config, adapter ? &adapter->lora() : nullptr,
                   teacher ? teacher->memory_bytes() +
                                 model::Network::teacher_bytes(config, input.options.batch_tokens)
                           : 0));

  json::Value identity = json::Value::object({{"student.from", input.student.from}});
  identity.set("student.without_system", input.student.without_system);
  if (input.base_weights != nullptr) identity.set("base weights", input.base_weights->digest());
  if (teacher) identity.set("teacher's weights", input.teacher->digest());
  const double trained_share = static_cast<double>(data.trained_tokens()) /
                               static_cast<double>(std::max<int64_t>(data.tokens(), 1));
  const auto limit_rate = [&](model::Precision precision) {
    if (input.limit) return input.limit();
    return products_tokens_per_second(config,
                                      {.tokens = input.options.batch_tokens,
                                       .trained_share = trained_share,
                                       .lora = adapter ? &adapter->lora() : nullptr},
                                      precision);
  };
  std::optional<OnPolicy> on_policy;
  if (teacher && input.options.on_policy > 0) {
    const bool scores = asks_scores(input.options);
    on_policy.emplace(
        Rollouts({weights, adapter ? &*adapter : nullptr, input.tokenizer, format.stop_token()},
                 input.options),
        Judges{.distributions = scores ? nullptr : teacher.get(),
               .scores = scores ? teacher.get() : nullptr},
        data.rows, input.options);
  }
  RETORT_TRY(const LoopOutcome done, run_loop(weights,
                                              {.data = data,
                                               .held_out = held_out,
                                               .options = input.options,
                                               .teacher = teacher.get(),
                                               .own_answers = on_policy ? &*on_policy : nullptr,
                                               .spoken = input.tokenizer->size(),
                                               .measure_start = input.base_weights != nullptr,
                                               .folder = input.folder,
                                               .identity = std::move(identity),
                                               .limit = limit_rate,
                                               .on_step = input.on_step,
                                               .at_save_point = nullptr},
                                              adapter ? &*adapter : nullptr));
  if (adapter) model::merge(weights, *adapter);
  return Outcome{.weights = std::move(weights),
                 .adapter = std::move(adapter),
                 .state = done.state,
                 .total_steps = done.total_steps,
                 .records = static_cast<int64_t>(data.rows.size()),
                 .too_long = data.too_long,
                 .trained_tokens = data.trained_tokens(),
                 .held_out_records = static_cast<int64_t>(held_out.rows.size()),
                 .resumed_step = done.resumed_step,
                 .refused_steps = done.refused_steps,
                 .stopped_early = done.stopped_early,
                 .weights_of_best_step = done.restored_best,
                 .limit_tokens_per_second = done.limit_tokens_per_second,
                 .precision = done.precision};
}

}  // namespace retort::train
