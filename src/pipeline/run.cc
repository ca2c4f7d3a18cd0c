#include "pipeline/run.h"

#include <cstdio>
#include <map>

#include "base/files.h"
#include "base/log.h"
#include "ledger/ledger.h"
#include "pipeline/machine.h"
#include "pipeline/permission.h"
#include "pipeline/run_file.h"
#include "pipeline/stage.h"
#include "pipeline/stages_internal.h"
#include "pipeline/summary.h"
#include "report/report.h"
#include "train/plan.h"

namespace retort::pipeline {
namespace {

// Refuses before anything is asked or trained. Records that were gathered already are judged one by
// one, so that the refusal can say how many it concerns.
Result<void> refuse_early(const RunContext& context) {
  RETORT_TRY(const auto permission, Permission::open(context.options, context.ledger));
  RETORT_TRY(const auto uses, planned_uses(context.options));
  std::vector<terms::Facts> facts;
  for (const auto& use : uses) facts.push_back(use.facts);
  const auto verdict = permission.clearance->preview_or_refuse(facts);
  if (verdict) return {};
  const auto gathered = permission.clearance->clear<terms::TrainGenerative>(
      {.folder = context.path("shards"), .split = "", .path_label = "optimizer"});
  RETORT_TRY_VOID(permission.write(context.options.out));
  if (!gathered && gathered.error().code == ErrorCode::refused_by_terms) return gathered.error();
  for (const auto& use : uses) {
    if (!permission.clearance->preview(use.facts).permits()) return verdict.error().at(use.label);
  }
  return verdict.error();
}

// Refuses a training that cannot work, before anything is asked for it. Files that are not there
// are for the stage that needs them to tell.
Result<void> check_training(const RunOptions& options) {
  const std::string& from = options.student.from;
  if (from != "scratch" && !base::exists(from)) return {};
  const std::string teacher = planned_teacher(options);
  if (!teacher.empty() && !base::exists(teacher)) return {};
  RETORT_TRY(const auto plan, train::plan_student({.student = options.student,
                                                   .options = options.train,
                                                   .vocab_size = options.vocab_size,
                                                   .teacher = teacher}));
  return train::check_memory(plan.memory_bytes);
}

// One object about the training, whenever it was done.
Result<json::Value> training_result(const std::string& out) {
  RETORT_TRY(const Summary summary, read_summary(out, "train"));
  const std::map<std::string, double> counts(summary.counts.begin(), summary.counts.end());
  const auto of = [&](const char* name) {
    const auto found = counts.find(name);
    return found == counts.end() ? json::Value() : json::Value(found->second);
  };
  // Null where the limit was not measured, as in a run that was done already, or measured too low
  // because the machine did other work meanwhile: no step is faster than its own products.
  json::Value share;
  if (counts.contains("limit_tokens_per_second")) {
    const double of_limit = counts.at("tokens_per_second") / counts.at("limit_tokens_per_second");
    if (of_limit <= 1) share = of_limit;
  }
  return json::Value::object({{"tokens_per_second", of("tokens_per_second")},
                              {"share_of_limit", std::move(share)},
                              {"loss_first", of("first_loss")},
                              {"loss_last", of("loss")},
                              {"peak_memory_bytes", of("peak_memory_bytes")},
                              {"steps", of("steps")},
                              {"seconds", of("training_seconds")}});
}

// `only` "train" stands for the tokenizer as well: a person thinks of them as one.
bool wanted(const std::string& stage, const std::string& only) {
  return only.empty() || stage == only || (only == "train" && stage == "tokenizer");
}

Result<void> run_stages(RunContext& context, const std::string& only) {
  for (const auto& stage : stages()) {
    if (!wanted(stage.name, only)) continue;
    RETORT_TRY_VOID(run_stage(context, stage));
  }
  return {};
}

Result<void> print_result(const std::string& out, const RunControl& control) {
  if (!control.json) {
    RETORT_TRY(const auto text, report::summary_text(out));
    std::printf("%s\nThe page: %s/report.html\n", text.c_str(), out.c_str());
    return {};
  }
  if (control.only_stage == "train") {
    RETORT_TRY(const auto value, training_result(out));
    std::printf("%s\n", json::dump(value).c_str());
    return {};
  }
  for (const auto& stage : stages()) {
    const auto text = base::read_file(summary_path(out, stage.name), int64_t{1} << 20);
    if (!text) continue;
    RETORT_TRY(const auto value, json::parse(*text, stage.name));
    std::printf("%s\n", json::dump(value).c_str());
  }
  return {};
}

}  // namespace

std::string ledger_folder(const RunOptions& options) {
  if (!options.ledger.empty()) return options.ledger;
  const auto found = ledger::find_ledger(".");
  return found ? *found : "ledger";
}

Result<void> run(RunOptions options, const RunControl& control) {
  RunContext context{.options = std::move(options),
                     .ledger = "",
                     .command = control.command,
                     .collective = control.collective};
  const std::string& out = context.options.out;
  RETORT_TRY_VOID(base::make_directories(out));
  RETORT_TRY(const auto lock, base::FileLock::acquire(base::join(out, "lock")));
  context.ledger = ledger_folder(context.options);
  const auto energy = energy_joules();
  // A student that may not be used is the plainer answer, so it comes before the records' terms.
  if (control.only_stage == "export") RETORT_TRY_VOID(check_student(context));
  // Gathering alone is no use that terms could refuse beyond "store", which the clearance checks.
  if (control.only_stage != "collect") {
    RETORT_TRY_VOID(refuse_early(context));
    RETORT_TRY_VOID(check_training(context.options));
  }
  RETORT_TRY_VOID(
      base::write_file_atomic(base::join(out, "run.toml"), to_toml(describe(context.options))));

  const auto done = run_stages(context, control.only_stage);
  RETORT_TRY_VOID(write_machine(out, {.command = control.command, .energy_at_start = energy}));
  const auto written = report::write_report(out);
  if (!done) return done.error();
  RETORT_TRY_VOID(written);
  return print_result(out, control);
}

}  // namespace retort::pipeline
