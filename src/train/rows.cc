#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "base/log.h"
#include "base/progress.h"
#include "crypto/hash.h"
#include "train/logprob_rows.h"
#include "train/objective.h"
#include "train/pairs_internal.h"
#include "train/rows_internal.h"
#include "train/sampled_targets_internal.h"

namespace retort::train {
namespace {

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
    if (row != nullptr && reading.door != nullptr) {
      RETORT_TRY(row->source, reading.door->add(record.key, messages));
    }
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

// Rows part by part, those of a part by what they say (a curated record's key names its shard,
// which another house has under another name): what else is there changes nothing of it.
void order_by_parts(const corpus::Cleared<terms::TrainGenerative>& cleared,
                    const corpus::TermsPartOf& part_of, Examples& examples) {
  std::map<std::string, std::string> orders;  // of each record, by its key
  std::map<std::string, RowPart> parts;       // by their order
  for (const corpus::Record& record : cleared.records()) {
    corpus::TermsPart part = part_of(record);
    auto& order = orders[record.key];
    order = std::max(order, part.order);  // of two records with one key the later part counts
    parts[part.order].name = part.order;
  }
  std::ranges::sort(examples.rows, [&](const Example& a, const Example& b) {
    return std::tie(orders.at(a.key), a.ids, a.key) < std::tie(orders.at(b.key), b.ids, b.key);
  });
  for (const Example& row : examples.rows) ++parts.at(orders.at(row.key)).rows;
  for (auto& [order, part] : parts) {
    if (part.rows > 0) examples.parts.push_back(std::move(part));
  }
}

// The same numbers are the same text.
std::string digest_of(const tensor::SparseTargets& targets) {
  crypto::Sha256 hash;
  const auto add = [&hash](const auto& values) {
    hash.add({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0])});
    hash.add("|");
  };
  add(targets.ids);
  add(targets.logprobs);
  add(targets.tails);
  add(targets.starts);
  return crypto::to_hex(hash.finish());
}

// The teacher's recorded distributions, for each example of these records.
template <class ActionTag>
Result<void> attach_recorded(const corpus::Cleared<ActionTag>& cleared, const Reading& reading,
                             Examples& examples) {
  RETORT_TRY(auto recorded, logprob_rows(cleared, examples, reading.tokenizer, reading.format));
  for (size_t i = 0; i < examples.rows.size(); ++i) {
    examples.rows[i].teacher = std::move(recorded.of_example[i]);
    examples.rows[i].recorded = digest_of(examples.rows[i].teacher);
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
                              Scorer* teacher, Examples examples) {
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

}  // namespace

Result<Rows> rows_of(const FitInput& input, const Reading& reading) {
  Rows rows;
  RETORT_TRY(rows.data, examples_of(input.data, reading));
  if (input.part_of) order_by_parts(input.data, input.part_of, rows.data);
  if (input.held_out != nullptr) {
    RETORT_TRY(rows.held_out, examples_of(*input.held_out, reading));
  }
  if (!reads_recorded(input.options) || !needs_teacher(input.options)) return rows;
  RETORT_TRY_VOID(attach_recorded(input.data, reading, rows.data));
  if (input.held_out != nullptr) {
    RETORT_TRY_VOID(attach_recorded(*input.held_out, reading, rows.held_out));
  }
  return rows;
}

Result<Rows> draw_rows(const FitInput& input, Rows rows, OnlineTeacher& teacher, int64_t vocab) {
  const Drawing drawing{.vocab = vocab,
                        .draws = input.options.draws,
                        .seed = static_cast<uint64_t>(input.options.seed),
                        .batch_tokens = input.options.batch_tokens};
  for (Examples* const examples : {&rows.data, &rows.held_out}) {
    RETORT_TRY_VOID(draw_targets(teacher, drawing, examples->rows));
  }
  int64_t kept = 0;
  for (const Example& row : rows.data.rows) kept += std::ssize(row.teacher.ids);
  base::log_info("drew {} times from the teacher at each of {} tokens; {:.1f} ids a token stay",
                 drawing.draws, base::grouped(rows.data.trained_tokens()),
                 static_cast<double>(kept) /
                     static_cast<double>(std::max<int64_t>(rows.data.trained_tokens(), 1)));
  return rows;
}

Result<Rows> pairs_of(const FitInput& input, Rows rows, Scorer* teacher,
                      const model::Weights& first) {
  RETORT_TRY(rows.data, ranked_pairs(input.data, input, teacher, std::move(rows.data)));
  if (input.held_out != nullptr) {
    RETORT_TRY(rows.held_out,
               ranked_pairs(*input.held_out, input, teacher, std::move(rows.held_out)));
  }
  RETORT_TRY(const model::Precision precision, parse_precision(input.options.precision));
  model::Network start(first, input.options.batch_tokens, precision, nullptr,
                       model::Use::inference);
  refer_to(start, rows.data.rows, input.options.batch_tokens);
  refer_to(start, rows.held_out.rows, input.options.batch_tokens);
  return rows;
}

}  // namespace retort::train
