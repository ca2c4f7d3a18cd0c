#include "evaluate/evaluate.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/files.h"
#include "base/log.h"
#include "base/random.h"
#include "evaluate/answers.h"
#include "evaluate/kneser_ney.h"
#include "evaluate/results_internal.h"
#include "evaluate/scoring.h"
#include "tokenizer/chat.h"

namespace retort::evaluate {
namespace {

constexpr uint64_t kPromptChoice = 0xe7a1;  // stream of random numbers

// The prompt as the student gets it.
dialog::Messages prompt_of(const EvaluateInput& input, const corpus::Record& record) {
  return input.without_system ? dialog::without_system(record.messages) : record.messages;
}

dialog::Messages with_answer(const EvaluateInput& input, const corpus::Record& record) {
  dialog::Messages messages = prompt_of(input, record);
  messages.push_back({dialog::Role::assistant, record.answer});
  return messages;
}

// Records of one prompt share this text.
std::string cluster_of(const corpus::Record& record) {
  std::string text;
  for (const dialog::Message& message : record.messages) {
    text += fmt::format("{}\n{}\n", dialog::name(message.role), message.content);
  }
  return text;
}

Result<KneserNey> train_ngram(const EvaluateInput& input, const tokenizer::ChatFormat& format) {
  std::vector<std::vector<int32_t>> documents;
  for (const corpus::Record& record : input.training.records()) {
    RETORT_TRY(auto text, render(*input.tokenizer, format, with_answer(input, record)));
    documents.push_back(std::move(text.ids));
  }
  return KneserNey::train(documents, input.tokenizer->size());
}

std::vector<Part> per_byte(const std::vector<double>& bits, const std::vector<Scored>& texts) {
  std::vector<Part> parts;
  for (size_t i = 0; i < bits.size(); ++i) {
    parts.push_back({bits[i], static_cast<double>(texts[i].answer_bytes)});
  }
  return parts;
}

Result<void> score(const EvaluateInput& input, const tokenizer::ChatFormat& format,
                   const BootstrapOptions& bootstrap, Summary& summary) {
  std::vector<Scored> texts;
  std::vector<std::string> clusters;
  for (const corpus::Record& record : input.held_out.records()) {
    RETORT_TRY(Scored text, render(*input.tokenizer, format, with_answer(input, record)));
    if (static_cast<int64_t>(text.ids.size()) - 1 > input.student.config().max_positions) {
      ++summary.too_long;
      continue;
    }
    summary.bytes += text.answer_bytes;
    texts.push_back(std::move(text));
    clusters.push_back(cluster_of(record));
  }
  if (texts.empty()) {
    return base::bad_input("there is no held-out answer to evaluate on",
                           fmt::format("{} were too long", summary.too_long),
                           "raise curate.held_out, or student.max_positions");
  }
  summary.records = static_cast<int64_t>(texts.size());
  summary.prompts = static_cast<int64_t>(std::set(clusters.begin(), clusters.end()).size());
  RETORT_TRY(const KneserNey ngram, train_ngram(input, format));
  RETORT_TRY(const auto student_sums, student_bits(input.student, texts));
  const auto student = per_byte(student_sums, texts);
  const auto baseline = per_byte(ngram_bits(ngram, texts), texts);
  summary.student_bits = bootstrap_ratio(student, clusters, bootstrap);
  summary.ngram_bits = bootstrap_ratio(baseline, clusters, bootstrap);
  summary.difference = bootstrap_difference(student, baseline, clusters, bootstrap);
  return {};
}

// One record of each of so many prompts, chosen by the seed.
std::vector<const corpus::Record*> chosen_records(const EvaluateInput& input) {
  std::vector<const corpus::Record*> first;
  std::set<std::string> seen;
  for (const corpus::Record& record : input.held_out.records()) {
    if (seen.insert(cluster_of(record)).second) first.push_back(&record);
  }
  std::vector<const corpus::Record*> chosen;
  for (const uint32_t index :
       base::permutation(static_cast<uint32_t>(first.size()),
                         static_cast<uint64_t>(input.options.seed), kPromptChoice)) {
    if (static_cast<int64_t>(chosen.size()) == input.options.prompts) break;
    chosen.push_back(first[index]);
  }
  return chosen;
}

Result<std::vector<Pair>> ask_student(const EvaluateInput& input) {
  const auto records = chosen_records(input);
  std::vector<dialog::Messages> prompts;
  for (const corpus::Record* record : records) prompts.push_back(prompt_of(input, *record));
  const AnswerOptions options{
      .sampling = input.sampling, .max_tokens = input.max_tokens, .engine = {}};
  RETORT_TRY(auto answers, student_answers(input.student, input.tokenizer, prompts, options));
  std::vector<Pair> pairs;
  for (size_t i = 0; i < records.size(); ++i) {
    if (answers[i].skipped) continue;
    const corpus::Record& record = *records[i];
    pairs.push_back({.key = record.key,
                     .prompt = record.messages,
                     .slots = {record.slots.begin(), record.slots.end()},
                     .teacher = {record.answer, record.finish_reason == "stop"},
                     .student = {std::move(answers[i].text), answers[i].ended}});
  }
  return pairs;
}

std::optional<Named> named(const std::vector<Pair>& pairs, const AnswerText Pair::*who,
                           const BootstrapOptions& bootstrap) {
  std::vector<Part> parts;
  std::vector<std::string> clusters;
  for (const Pair& pair : pairs) {
    if (pair.slots.empty()) continue;
    std::vector<std::string> values;
    for (const auto& [slot, value] : pair.slots) values.push_back(value);
    parts.push_back({names_all((pair.*who).text, values) ? 1.0 : 0.0, 1.0});
    clusters.push_back(pair.key);
  }
  if (parts.empty()) return std::nullopt;
  return Named{bootstrap_ratio(parts, clusters, bootstrap), static_cast<int64_t>(parts.size())};
}

std::vector<AnswerText> texts_of(const std::vector<Pair>& pairs, const AnswerText Pair::*who) {
  std::vector<AnswerText> out;
  for (const Pair& pair : pairs) out.push_back(pair.*who);
  return out;
}

}  // namespace

void describe(base::Options& table, EvaluateOptions& o) {
  table.add("samples", &o.samples, "prompts shown side by side");
  table.add("prompts", &o.prompts, "held-out prompts that the student answers, at most");
  table.add("bootstrap", &o.bootstrap, "resamples behind each interval");
  table.add("seed", &o.seed, "choice of prompts, sampling and resampling");
}

Result<void> validate(const EvaluateOptions& o) {
  if (o.samples < 0) return base::usage_error("evaluate.samples must be 0 or more");
  if (o.prompts < 1) return base::usage_error("evaluate.prompts must be 1 or more");
  if (o.bootstrap < 100 || o.bootstrap > 1000000) {
    return base::usage_error("evaluate.bootstrap must be 100 to 1000000");
  }
  if (o.seed < 0) return base::usage_error("evaluate.seed must be 0 or more");
  return {};
}

Result<Summary> evaluate(const EvaluateInput& input) {
  RETORT_TRY_VOID(validate(input.options));
  RETORT_TRY(const auto format, tokenizer::ChatFormat::detect(*input.tokenizer));
  const BootstrapOptions bootstrap{input.options.bootstrap,
                                   static_cast<uint64_t>(input.options.seed)};
  Summary summary;
  RETORT_TRY_VOID(score(input, format, bootstrap, summary));
  base::log_info("held-out answers: {:.3f} bits per byte, the 5-gram {:.3f}",
                 summary.student_bits.value, summary.ngram_bits.value);
  RETORT_TRY(const std::vector<Pair> pairs, ask_student(input));
  summary.teacher_named = named(pairs, &Pair::teacher, bootstrap);
  summary.student_named = named(pairs, &Pair::student, bootstrap);
  summary.teacher = readability(texts_of(pairs, &Pair::teacher));
  summary.student = readability(texts_of(pairs, &Pair::student));
  summary.notes = input.notes;
  for (std::string& note : sentences(summary)) summary.notes.push_back(std::move(note));
  RETORT_TRY_VOID(base::make_directories(input.folder));
  RETORT_TRY_VOID(base::write_file_atomic(base::join(input.folder, "samples.jsonl"),
                                          samples_text(pairs, input.options.samples)));
  RETORT_TRY_VOID(base::write_file_atomic(base::join(input.folder, "results.json"),
                                          json::dump(to_json(summary), 1) + "\n"));
  return summary;
}

}  // namespace retort::evaluate
