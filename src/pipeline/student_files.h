// OUT/train/final/: the trained student as the trainer left it, in fp32 with a digest for every
// tensor. Evaluation and export read it; what other programs read is written by `release`.
#pragma once
#include <memory>
#include <string>

#include "base/result.h"
#include "model/weights.h"
#include "tokenizer/tokenizer.h"

namespace retort::pipeline {

Result<void> save_student(const model::Weights& weights, const std::string& folder);
// Refuses a damaged tensor by its name.
Result<model::Weights> load_student(const std::string& folder);

}  // namespace retort::pipeline
