// All options of a run: the tables of the run file, made of what the rooms describe.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/options.h"
#include "base/result.h"
#include "collect/options.h"
#include "curate/options.h"
#include "evaluate/evaluate.h"
#include "release/export.h"
#include "terms/evaluate.h"
#include "train/options.h"

namespace retort::pipeline {

struct PurposeOptions {
  std::vector<std::string> actions = {};  // names of terms::Action; there is no default
  std::string model_id = {};
  bool distributed = false;
  bool commercial = false;
  std::string competing = {};  // "", "yes" or "no": whether the student competes with the teacher
  std::vector<std::string> deciders = {};  // PEM files: whose declarations and readings count
};
Result<terms::Purpose> to_purpose(const PurposeOptions& options);

struct RunOptions {
  std::string ledger;  // "": the nearest folder of that name upwards, else one made here
  std::string out = "runs/run";
  std::string serve;  // [teacher] serve: a model file that the run itself serves
  int64_t serve_batch = 32;
  collect::Teacher teacher;
  PurposeOptions purpose;
  collect::Options collect;
  std::string own_data;  // [collect] import: a JSONL of the user's own
  std::vector<std::string> own_terms;
  curate::Options curate;
  int64_t vocab_size = 4096;
  train::StudentOptions student;
  std::vector<std::string> student_terms;  // of base weights
  std::string student_model;               // the base's name, which its terms speak of
  train::TrainOptions train;
  evaluate::EvaluateOptions evaluate;
  release::ExportOptions exporting;
};

// The table of all options, pointing into `options`; both must stay where they are.
base::Options describe(RunOptions& options);

// Reads a run file, then sets what the command line says. Shipped files (examples/, terms/) are
// found beside the installed program when they are not where retort is started.
struct LoadRun {
  std::string path;
  std::vector<std::pair<std::string, std::vector<std::string>>> overrides = {};
  bool smoke = false;  // the whole run in about a minute: for tests
};
Result<RunOptions> load_run(const LoadRun& load);

// Whether a teacher is asked for answers; one that is named may be asked by the training alone.
bool asks_for_answers(const RunOptions& options);
// The weights that the student's training asks in this process; "": none.
std::string planned_teacher(const RunOptions& options);

// Digests of files that options name (prompts, words, terms), for a stage's fingerprint.
Result<std::vector<std::pair<std::string, std::string>>> option_file_digests(
    const RunOptions& options, const std::string& stage);

// The path itself when it exists here, else the same path among the installed data, else itself.
std::string shipped(const std::string& path);

}  // namespace retort::pipeline
