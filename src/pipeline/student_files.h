// OUT/train/final/: the trained student as the trainer left it, in fp32 with a digest for every
// tensor. Evaluation and export read it; what other programs read is written by `release`. Where an
// adapter was trained the student is the weights with it, and adapter/ beside them holds it alone,
// as PEFT keeps it.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "model/lora.h"
#include "model/weights.h"
#include "tokenizer/tokenizer.h"

namespace retort::pipeline {

struct TrainedAdapter {
  const model::Adapter& adapter;
  std::string base_name;  // of the weights that it stands beside
};
Result<void> save_student(const model::Weights& weights, const std::string& folder,
                          const TrainedAdapter* adapter = nullptr);
// Refuses a damaged tensor by its name.
Result<model::Weights> load_student(const std::string& folder);
// The adapter beside the student, where one was trained.
Result<std::optional<model::Adapter>> load_student_adapter(const std::string& folder,
                                                           const model::Config& config);

}  // namespace retort::pipeline
