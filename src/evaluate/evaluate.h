// Student against teacher on prompts that were held out: how well the student predicts the
// teacher's answers, beside an n-gram model trained on the very same records, and how its own
// answers compare. Everything that the teacher wrote comes cleared: for evaluation as a benchmark,
// and for training as what the n-gram counts.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/options.h"
#include "base/result.h"
#include "corpus/clearance.h"
#include "engine/engine.h"
#include "evaluate/bootstrap.h"
#include "evaluate/wording.h"
#include "model/weights.h"
#include "terms/action.h"

namespace retort::evaluate {

struct EvaluateOptions {
  int64_t samples = 8;       // prompts shown side by side
  int64_t prompts = 200;     // held-out prompts that the student answers, at most
  int64_t bootstrap = 1000;  // resamples behind an interval
  int64_t seed = 1;
};
void describe(base::Options& table, EvaluateOptions& options);
Result<void> validate(const EvaluateOptions& options);

struct EvaluateInput {
  const corpus::Cleared<terms::Evaluate>& held_out;
  const corpus::Cleared<terms::TrainGenerative>& training;
  const model::Weights& student;
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer;
  EvaluateOptions options;
  engine::Sampling sampling;  // as the teacher was asked
  int64_t max_tokens = 256;
  bool without_system = false;     // the student is asked without the prompts' system messages
  std::string folder;              // gets results.json and samples.jsonl
  std::vector<std::string> notes;  // the caller's own sentences, put first
};

struct Named {
  Interval share;
  int64_t answers = 0;
};

struct Summary {
  int64_t records = 0, prompts = 0, bytes = 0;    // held out and scored
  int64_t too_long = 0;                           // held out, longer than the student's positions
  Interval student_bits, ngram_bits, difference;  // bits per byte; difference = student - n-gram
  std::optional<Named> teacher_named, student_named;  // nothing when no prompt has slots
  Readability teacher, student;
  std::vector<std::string> notes;
};

// Writes the two files and returns what results.json says.
Result<Summary> evaluate(const EvaluateInput& input);

}  // namespace retort::evaluate
