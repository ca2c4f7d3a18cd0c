#include "pipeline/run_options.h"

#include <fmt/core.h>

#include "base/files.h"
#include "pipeline/child.h"
#include "pipeline/run_file.h"
#include "pipeline/summary.h"
#include "train/objective.h"

namespace retort::pipeline {
namespace {

void describe_teacher(base::Options& table, RunOptions& o) {
  table.set_prefix("teacher");
  table.add("serve", &o.serve, "model that the run itself serves on loopback, instead of base_url");
  table.add("serve_batch", &o.serve_batch, "requests that it decodes at once");
  describe(table, o.teacher);
}

void describe_purpose(base::Options& table, PurposeOptions& o) {
  table.set_prefix("purpose");
  table.add("actions", &o.actions, "what is done with the answers: store, train.generative, ...");
  table.add("model_id", &o.model_id, "name of the student");
  table.add("distributed", &o.distributed, "others get the weights");
  table.add("commercial", &o.commercial, "the student serves a commercial purpose");
  table.add("competing", &o.competing, "yes or no: the student competes with the teacher's maker");
  table.add("deciders", &o.deciders,
            "PEM files with the public keys of those whose signed declarations and readings count");
}

void describe_collect(base::Options& table, RunOptions& o) {
  table.set_prefix("collect");
  describe(table, o.collect);
  table.add("import", &o.own_data, "JSONL of your own to learn from, with or without a teacher");
  table.add("import_terms", &o.own_terms, "terms files of that data");
}

// The smallest run that still passes every stage; what the file says beyond it is kept.
void make_smoke(RunOptions& o) {
  o.out += "-smoke";
  o.collect.count = std::min<int64_t>(o.collect.count, 160);
  o.collect.max_tokens = std::min<int64_t>(o.collect.max_tokens, 96);
  o.curate.held_out = 0.15;
  o.vocab_size = 640;
  o.student.layers = 2;
  o.student.width = 64;
  o.train.epochs = 3;
  o.train.batch_tokens = 1024;
  o.train.checkpoint_every = 4;
  o.evaluate.prompts = 12;
  o.evaluate.samples = 4;
  o.evaluate.bootstrap = 200;
}

// Paths that a shipped run file names are looked for among the shipped data.
void find_shipped(RunOptions& o) {
  for (auto* list : {&o.teacher.terms, &o.collect.prompt_terms, &o.own_terms, &o.student_terms}) {
    for (auto& path : *list) path = shipped(path);
  }
  for (auto& [name, path] : o.collect.words) path = shipped(path);
  o.collect.prompts = shipped(o.collect.prompts);
}

// That what the objective wants of the teacher is to be had.
Result<void> check_objective(const RunOptions& o) {
  RETORT_TRY_VOID(train::validate(o.train));
  const std::string& objective = o.train.objective;
  if (train::reads_recorded(o.train) && o.collect.top_logprobs == 0) {
    return base::usage_error(
        fmt::format("the objective {} reads the teacher's log-probabilities, and none are recorded",
                    objective),
        "collect.top_logprobs", "set it, such as to 20, or use objective = \"sequence_kd\"");
  }
  const bool over_http = train::asks_door(o.train);
  if (over_http && o.teacher.base_url.empty()) {
    return base::usage_error("a teacher that is asked over HTTP has an address, and none is named",
                             "train.teacher",
                             "name it as teacher.base_url, or use \"online\" with teacher.serve");
  }
  if (!train::asks_teacher(o.train) && !over_http) return {};
  if (o.serve.empty() && !over_http) {
    return base::usage_error(
        fmt::format("the objective {} asks the teacher's weights, and there are none here",
                    objective),
        "teacher.serve",
        "name their file there, or set train.teacher to \"recorded\", or use objective = "
        "\"sequence_kd\"");
  }
  if (o.student.from == "scratch") {
    return base::usage_error(
        fmt::format("a student from scratch learns a vocabulary of its own, of {} tokens; the "
                    "objective {} needs the teacher's",
                    o.vocab_size, objective),
        "student.from", "start from the teacher's weights, or use objective = \"sequence_kd\"");
  }
  return {};
}

Result<void> check(const RunOptions& o) {
  if (!o.serve.empty() && !o.teacher.base_url.empty()) {
    return base::usage_error("both serve and base_url are given", "teacher",
                             "keep one of them: who answers?");
  }
  RETORT_TRY_VOID(train::validate(o.student));
  const bool asks = asks_for_answers(o);
  if (asks && o.serve.empty() && o.teacher.base_url.empty()) {
    return base::usage_error("no teacher is named", "teacher",
                             "set base_url, or serve to a model file");
  }
  if (!asks && o.own_data.empty()) {
    return base::usage_error("there are no prompts", "collect", "set prompts, template or import");
  }
  RETORT_TRY_VOID(train::check_lora_base(o.train, o.student));
  if (!o.train.isolate_by.empty()) RETORT_TRY_VOID(train::check_isolated_start(o.student));
  return check_objective(o);
}

}  // namespace

bool asks_for_answers(const RunOptions& options) {
  return !options.collect.prompts.empty() || !options.collect.templates.empty();
}

std::string planned_teacher(const RunOptions& options) {
  return train::asks_teacher(options.train) ? options.serve : "";
}

Result<terms::Purpose> to_purpose(const PurposeOptions& options) {
  terms::Purpose purpose;
  for (const auto& text : options.actions) {
    const auto action = terms::parse_action(text);
    if (!action) {
      std::string known;
      for (const auto each : terms::all_actions()) {
        known += (known.empty() ? "" : ", ") + std::string(terms::name(each));
      }
      return base::usage_error(fmt::format("\"{}\" is no action", text), "purpose.actions",
                               "known are " + known);
    }
    purpose.actions.push_back(*action);
  }
  purpose.model_id = options.model_id;
  purpose.distributed = options.distributed;
  purpose.commercial = options.commercial;
  if (options.competing == "yes" || options.competing == "no") {
    purpose.competing = options.competing == "yes";
  } else if (!options.competing.empty()) {
    return base::usage_error("competing must be yes or no", "purpose.competing");
  }
  return purpose;
}

base::Options describe(RunOptions& o) {
  base::Options table;
  table.add("ledger", &o.ledger, "folder of the log; empty: the nearest one upwards");
  table.add("out", &o.out, "folder that gets everything the run writes");
  describe_teacher(table, o);
  describe_purpose(table, o.purpose);
  describe_collect(table, o);
  table.set_prefix("curate");
  describe(table, o.curate);
  table.set_prefix("tokenizer");
  table.add("vocab_size", &o.vocab_size,
            "tokens of the student, with 256 bytes and 3 special ones");
  table.set_prefix("student");
  describe(table, o.student);
  table.add("terms", &o.student_terms, "terms files of the weights that it starts from");
  table.add("base_model", &o.student_model, "name of those weights, as their terms call them");
  table.set_prefix("train");
  describe(table, o.train);
  table.set_prefix("evaluate");
  describe(table, o.evaluate);
  table.set_prefix("export");
  describe(table, o.exporting);
  return table;
}

Result<RunOptions> load_run(const LoadRun& load) {
  const std::string path = shipped(load.path);
  RETORT_TRY(const auto text, base::read_file(path, int64_t{1} << 20));
  RETORT_TRY(const auto document, json::parse_toml(text, path));
  RunOptions options;
  base::Options table = describe(options);
  RETORT_TRY_VOID(apply_document(table, document, path));
  RETORT_TRY_VOID(apply_overrides(table, load.overrides));
  if (load.smoke) make_smoke(options);
  find_shipped(options);
  RETORT_TRY_VOID(check(options));
  return options;
}

Result<std::vector<std::pair<std::string, std::string>>> option_file_digests(
    const RunOptions& options, const std::string& stage) {
  std::vector<std::string> paths;
  if (stage == "collect") {
    for (const auto* list :
         {&options.teacher.terms, &options.collect.prompt_terms, &options.own_terms}) {
      paths.insert(paths.end(), list->begin(), list->end());
    }
    for (const auto& [name, path] : options.collect.words) paths.push_back(path);
    paths.push_back(options.collect.prompts);
    paths.push_back(options.own_data);
  }
  const bool reads_base = stage == "tokenizer" || stage == "train";
  if (reads_base && options.student.from != "scratch") paths.push_back(options.student.from);
  if (stage == "train" && train::asks_teacher(options.train)) paths.push_back(options.serve);
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& path : paths) {
    if (path.empty()) continue;
    RETORT_TRY(auto digest, digest_of(path));
    out.emplace_back(path, std::move(digest));
  }
  return out;
}

std::string shipped(const std::string& path) {
  if (!(path.starts_with("terms/") || path.starts_with("examples/")) || base::exists(path)) {
    return path;
  }
  // Beside an installed program, or above a build folder (build/PRESET/retort).
  const std::string above = base::parent(base::parent(own_program()));
  for (const std::string& home : {base::join(above, "share/retort"), base::parent(above)}) {
    const std::string found = base::join(home, path);
    if (base::exists(found)) return found;
  }
  return path;
}

}  // namespace retort::pipeline
