// What training a student will take, before there is any data: its shape and its memory by the
// headers of model files, its time by measuring steps of random weights here. Nothing of a file's
// weights is used, so it needs no clearance.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "base/cpu.h"
#include "base/result.h"
#include "model/config.h"
#include "train/options.h"

namespace retort::train {

struct PlanInput {
  const StudentOptions& student;
  const TrainOptions& options;
  int64_t vocab_size = 0;    // of a tokenizer that is yet to be learnt, for a student from scratch
  std::string teacher = "";  // weights that are asked in this process; "": none are
};

struct StudentPlan {
  model::Config shape;  // a vocabulary that will be trimmed counts whole
  std::optional<model::LoraConfig> lora;
  std::optional<model::Config> teacher;
  int64_t memory_bytes = 0;  // of training at its most, the teacher's part included
  bool recomputes = false;   // activations, in the backward pass
};

// Errors: what the files are not; bad_input where the student's vocabulary is not the teacher's,
// with the number of tokens that differ; usage where sampled answers leave no room for a prompt.
Result<StudentPlan> plan_student(const PlanInput& input);

// Whether activations are made again in the backward pass: where options.recompute says so or, at
// auto, where `memory` would not suffice to keep them beside `others`.
struct Shape {
  const model::Config& config;
  model::Precision precision;
  const model::LoraConfig* lora = nullptr;
};
bool recomputes(const Shape& shape, const TrainOptions& options, int64_t others,
                int64_t memory = base::total_memory_bytes());

// Usage error with both numbers where training takes more memory than this machine has.
Result<void> check_memory(int64_t needed_bytes);

struct Workload {
  int64_t rows = 0;            // of training
  int64_t tokens_per_row = 0;  // about
};

struct Estimate {
  int64_t steps = 0;
  int64_t tokens = 0;            // inputs in all epochs
  int64_t checkpoint_bytes = 0;  // of one
  double tokens_per_second = 0;
  double seconds = 0;
};

// `tokens_per_second` 0: measured here, which takes seconds.
Result<Estimate> estimate(const StudentPlan& plan, const Workload& workload,
                          const TrainOptions& options, double tokens_per_second = 0);

}  // namespace retort::train
