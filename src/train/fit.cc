#include "train/fit.h"

#include <algorithm>
#include <cstdio>

#include "base/log.h"
#include "base/progress.h"
#include "tokenizer/chat.h"
#include "train/examples.h"
#include "train/loop_internal.h"
#include "train/probe.h"
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

template <class ActionTag>
Result<Examples> examples_of(const corpus::Cleared<ActionTag>& cleared,
                             const tokenizer::Tokenizer& tokenizer,
                             const tokenizer::ChatFormat& format, int64_t limit) {
  ExampleBuilder builder(tokenizer, format, limit);
  for (const corpus::Record& record : cleared.records()) {
    dialog::Messages messages = record.messages;
    messages.push_back({dialog::Role::assistant, record.answer});
    RETORT_TRY_VOID(builder.add(record.key, messages));
  }
  return builder.take();
}

// What the loss counts, before anything is spent on it.
void show_first(const Examples& examples, const tokenizer::Tokenizer& tokenizer) {
  if (examples.rows.empty() || ::isatty(STDERR_FILENO) == 0) return;
  std::fprintf(stderr, "the first record; what is learnt is green:\n%s\n",
               show(examples.rows.front(), tokenizer, /*colour=*/true).c_str());
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

}  // namespace

Result<Outcome> fit(const FitInput& input) {
  RETORT_TRY_VOID(validate(input.options));
  RETORT_TRY(const auto format, tokenizer::ChatFormat::detect(*input.tokenizer));
  RETORT_TRY(model::Weights weights, first_weights(input));
  const model::Config config = weights.config();
  const int64_t limit = std::min(input.options.batch_tokens, config.max_positions);
  RETORT_TRY(const Examples data, examples_of(input.data, *input.tokenizer, format, limit));
  Examples held_out;
  if (input.held_out != nullptr) {
    RETORT_TRY(held_out, examples_of(*input.held_out, *input.tokenizer, format, limit));
  }
  show_first(data, *input.tokenizer);
  tell_sizes(config, data);

  json::Value identity = json::Value::object({{"student.from", input.student.from}});
  if (input.base_weights != nullptr) identity.set("base weights", input.base_weights->digest());
  const double trained_share = static_cast<double>(data.trained_tokens()) /
                               static_cast<double>(std::max<int64_t>(data.tokens(), 1));
  const auto limit_rate = [&](model::Precision precision) {
    if (input.limit) return input.limit();
    return products_tokens_per_second(config, input.options.batch_tokens, trained_share, precision);
  };
  RETORT_TRY(const LoopOutcome done, run_loop(weights, {.data = data,
                                                        .held_out = held_out,
                                                        .options = input.options,
                                                        .folder = input.folder,
                                                        .identity = std::move(identity),
                                                        .limit = limit_rate,
                                                        .on_step = input.on_step,
                                                        .at_save_point = nullptr}));
  return Outcome{.weights = std::move(weights),
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
