#include <fmt/core.h>

#include <condition_variable>
#include <fstream>
#include <map>
#include <mutex>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/files.h"
#include "base/progress.h"
#include "collect/collect.h"
#include "corpus/terms_part.h"
#include "engine/engine.h"
#include "pipeline/adapters.h"
#include "pipeline/machine.h"
#include "pipeline/permission.h"
#include "pipeline/run.h"
#include "train/plan.h"
#include "train/remedy.h"

namespace retort::pipeline {
namespace {

// What is assumed where only the run itself can tell; the plan says so.
constexpr double kKeptShare = 0.93;     // of the answers, after curation and split
constexpr double kRowShare = 0.75;      // student tokens a row, prompt included, of max_tokens
constexpr int64_t kRecordBytes = 6000;  // in corpus.db and shards together
constexpr int64_t kProbeTokens = 12;
constexpr int64_t kTokenBytes = 4;  // of own texts

struct TeacherSpeed {
  double tokens_per_second = 0;
  int64_t memory_bytes = 0;
};

// Lets the teacher answer one batch of short requests, about two seconds of work.
Result<TeacherSpeed> probe_teacher(const RunOptions& options) {
  const int64_t streams =
      std::max<int64_t>(1, std::min(options.collect.concurrency, options.serve_batch));
  RETORT_TRY(auto engine, engine::Engine::open(options.serve, {.max_batch = streams}));
  const auto prompt = engine->tokenizer().encode("Write a story about a boat.");
  std::mutex mutex;
  std::condition_variable ended;
  int64_t left = streams;
  int64_t generated = 0;
  const double started_s = base::monotonic_seconds();
  for (int64_t i = 0; i < streams; ++i) {
    engine::Request request;
    request.prompt = prompt;
    request.max_tokens = kProbeTokens;
    request.sampling.seed = static_cast<uint64_t>(i);
    request.on_event = [&](const engine::Event& event) {
      if (!event.done) return;
      const std::lock_guard lock(mutex);
      generated += event.generated_tokens;
      if (--left == 0) ended.notify_one();
    };
    RETORT_TRY_VOID(engine->submit(std::move(request)));
  }
  std::unique_lock lock(mutex);
  ended.wait(lock, [&] { return left == 0; });
  TeacherSpeed speed;
  speed.tokens_per_second =
      static_cast<double>(generated) / (base::monotonic_seconds() - started_s);
  speed.memory_bytes = engine->stats().memory_bytes;
  return speed;
}

std::string row(const std::string& name, const std::string& text) {
  return fmt::format("  {:<12} {}\n", name, text);
}

struct Plan {
  int64_t requests = 0;
  double seconds = 0;
  int64_t memory_bytes = 0;  // of asking
  int64_t training_bytes = 0;
  int64_t disk_bytes = 0;
};

std::string cost_row(const RunOptions& options, const collect::Estimate& expected) {
  if (options.collect.price_answer_usd.empty()) return row("cost", "no price is set");
  return row("cost",
             fmt::format("about {} USD, at most {}", corpus::format_micros(expected.likely.money),
                         corpus::format_micros(expected.most.money)));
}

Result<std::string> collect_rows(const RunOptions& options, Plan& plan) {
  TeacherSpeed speed;
  if (!options.serve.empty()) {
    RETORT_TRY(speed, probe_teacher(options));
  }
  RETORT_TRY(const auto expected,
             collect::estimate(teacher_of(options), options.collect,
                               base::join(options.out, "corpus.db"), speed.tokens_per_second));
  plan.requests = expected.requests;
  plan.seconds += expected.seconds;
  plan.memory_bytes = speed.memory_bytes;
  plan.disk_bytes += expected.requests * kRecordBytes;
  std::string out =
      row("requests", fmt::format("{}, of which {} are answered already",
                                  base::grouped(expected.requests), base::grouped(expected.done)));
  out += row("tokens", fmt::format("about {} of answers and {} of prompts still to come",
                                   base::grouped(expected.likely.answer_tokens),
                                   base::grouped(expected.likely.prompt_tokens)));
  out += cost_row(options, expected);
  out += row("time asking",
             options.serve.empty()
                 ? std::string("as long as the teacher takes")
                 : fmt::format("about {} at {:.0f} tokens a second, measured here just now",
                               base::human_duration(expected.seconds), speed.tokens_per_second));
  for (const auto& note : expected.notes) out += row("", note);
  return out;
}

// Rows of training that there will be. A token is taken for four bytes.
train::Workload workload_of(const RunOptions& options, const Plan& plan) {
  int64_t rows = static_cast<int64_t>(static_cast<double>(plan.requests) * kKeptShare);
  int64_t tokens =
      rows * static_cast<int64_t>(kRowShare * static_cast<double>(options.collect.max_tokens));
  std::ifstream own(options.own_data);
  for (std::string line; std::getline(own, line);) {
    ++rows;
    tokens += std::ssize(line) / kTokenBytes;
  }
  return {.rows = rows,
          .tokens_per_row = std::max<int64_t>(tokens / std::max<int64_t>(rows, 1), 1)};
}

// The two groups that a run's records can be told into before there are any: own texts, and what
// the teacher answers.
Result<std::string> remedy_rows(const RunOptions& options, const Plan& plan, int64_t tokens) {
  if (options.train.isolate_by.empty()) return std::string();
  RETORT_TRY(const auto uses, planned_uses(options));
  RETORT_TRY(const auto known, terms_of(options));
  const train::Workload all = workload_of(options, plan);
  const auto answers =
      std::min(static_cast<int64_t>(static_cast<double>(plan.requests) * kKeptShare), all.rows);
  std::map<std::string, train::PartSize> parts;  // by the order in which they are learnt
  for (const auto& use : uses) {
    if (use.facts.object == terms::Object::weights) continue;
    const int64_t rows = use.facts.object == terms::Object::texts ? all.rows - answers : answers;
    corpus::Record record;
    record.terms = use.facts.terms;
    const auto part = corpus::terms_part(record, known);
    auto& size = parts[part.order];
    size.label = part.label;
    size.rows += rows;
    size.tokens += tokens / std::max<int64_t>(all.rows, 1) * rows;
  }
  std::vector<train::PartSize> in_order;
  for (auto& [order, size] : parts) in_order.push_back(std::move(size));
  const bool apart = has_adapters_apart(options);
  std::string out =
      row("isolated", apart ? "each set of terms has an adapter of its own"
                            : "one set of terms after another; the firmest is learnt first");
  const auto remedies = train::remedies(in_order);
  for (const auto& line : apart ? train::tell_apart(remedies) : train::tell(remedies)) {
    out += row("", line);
  }
  return out;
}

Result<std::string> train_rows(const RunOptions& options, Plan& plan) {
  RETORT_TRY(const auto student, train::plan_student({.student = options.student,
                                                      .options = options.train,
                                                      .vocab_size = options.vocab_size,
                                                      .teacher = planned_teacher(options)}));
  const model::Config& config = student.shape;
  const train::Workload work = workload_of(options, plan);
  plan.training_bytes = student.memory_bytes;
  // What this machine cannot hold is not measured either; the plan ends with the refusal.
  if (work.rows == 0 || !train::check_memory(plan.training_bytes)) {
    return row("student", fmt::format("{} parameters", base::grouped(config.parameters())));
  }
  RETORT_TRY(const auto expected, train::estimate(student, work, options.train));
  plan.seconds += expected.seconds;
  plan.disk_bytes +=
      expected.checkpoint_bytes * (options.train.keep + 1) + config.parameters() * 4 * 3;
  std::string out =
      row("student", fmt::format("{} parameters, {} steps over about {} tokens",
                                 base::grouped(config.parameters()), base::grouped(expected.steps),
                                 base::grouped(expected.tokens)));
  out += row("time training",
             fmt::format("about {} at {:.0f} tokens a second, measured just now",
                         base::human_duration(expected.seconds), expected.tokens_per_second));
  out += row(
      "", fmt::format("training takes about {} of memory{}", base::human_bytes(plan.training_bytes),
                      student.recomputes ? ", with activations that are made again" : ""));
  RETORT_TRY(const auto remedy, remedy_rows(options, plan, expected.tokens));
  out += remedy;
  const int64_t longest = std::min(options.train.batch_tokens, config.max_positions);
  if (options.collect.max_tokens >= longest) {
    out += row("", fmt::format("answers may have {} tokens; what is longer than {} with its prompt "
                               "is not learnt",
                               options.collect.max_tokens, longest));
  }
  return out;
}

std::string words_of(const terms::Verdict& verdict) {
  std::string out;
  for (const auto& finding : verdict.findings) {
    out += row("", finding.sentence());
    if (!finding.need.empty()) out += row("", finding.need);
  }
  for (const auto& one : verdict.declared) {
    out += row("", fmt::format("{}; declared by {} (declaration {})", one.question.sentence(),
                               one.declarant, one.declaration_id.substr(0, 16)));
  }
  return out;
}

}  // namespace

Result<Statement> verdict_text(RunOptions& options) {
  RETORT_TRY(const auto purpose, to_purpose(options.purpose));
  RETORT_TRY(const auto planned, plan_verdicts(options));
  Statement statement;
  terms::Verdict together;
  bool each_permits = true;
  for (const auto& [use, verdict] : planned.verdicts) {
    statement.words +=
        row("verdict", fmt::format("{} for {}", terms::name(verdict.decision), use.label));
    statement.words += words_of(verdict);
    each_permits = each_permits && verdict.permits();
    together = terms::meet(std::move(together), verdict);
  }
  // What each alone permits may contradict itself together: two names that no model can both bear.
  if (each_permits && !together.permits()) {
    statement.words += row("verdict", "deny for all of it together") + words_of(together);
  }
  if (!together.permits()) {
    statement.refusal =
        Error{ErrorCode::refused_by_terms, "the terms do not permit this run's purpose", "purpose",
              "the lines above say by which clause and what would change it"};
  }
  if (purpose.actions.empty() || !purpose.allows(terms::Action::train_generative)) {
    statement.refusal =
        Error{ErrorCode::refused_by_terms, "the run file does not say that it trains a model",
              "purpose.actions", "add \"train.generative\" if that is the purpose"};
  }
  return statement;
}

Result<Statement> plan_text(RunOptions& options) {
  RETORT_TRY(auto statement, verdict_text(options));
  std::string words = fmt::format("Plan of {}\n", options.out) + statement.words;
  Plan plan;
  if (asks_for_answers(options)) {
    RETORT_TRY(const auto rows, collect_rows(options, plan));
    words += rows;
  }
  RETORT_TRY(const auto rows, train_rows(options, plan));
  words += rows;
  RETORT_TRY(const auto free, base::free_bytes(options.out));
  const int64_t memory_bytes = std::max(plan.memory_bytes, plan.training_bytes);
  words += row("memory", fmt::format("about {} of {}", base::human_bytes(memory_bytes),
                                     base::human_bytes(base::total_memory_bytes())));
  statement.words = words;
  // Disk and time would leave out the training that was not measured.
  if (const auto enough = train::check_memory(plan.training_bytes); !enough) {
    statement.refusal = enough.error();
    return statement;
  }
  words += row("disk", fmt::format("about {}, {} are free", base::human_bytes(plan.disk_bytes),
                                   base::human_bytes(free)));
  words += row("time", fmt::format("about {} in all, on {}", base::human_duration(plan.seconds),
                                   base::cpu_summary()));
  if (plan.disk_bytes > free) words += row("", "not enough disk space: free some first");
  statement.words = words;
  return statement;
}

}  // namespace retort::pipeline
