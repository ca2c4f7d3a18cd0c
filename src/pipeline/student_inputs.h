// All that a training reads, cleared: records, held-out ones, weights, teacher, tokenizer. Private
// to the room's train stages.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "pipeline/stages_internal.h"
#include "train/examples.h"
#include "train/fit.h"
#include "train/objective.h"

namespace retort::pipeline {

struct StudentInputs {
  corpus::Cleared<terms::TrainGenerative> data;
  corpus::Cleared<terms::Evaluate> held_out;
  std::optional<corpus::ClearedWeights<terms::TrainGenerative>> base_weights, teacher;
  std::optional<corpus::ClearedDoor<terms::TrainGenerative>> door;
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer;
  std::vector<tokenizer::TokenId> kept_tokens;
  corpus::TermsPartOf part_of;

  // `permission` outlives them.
  static Result<StudentInputs> clear(const RunContext& context, Permission& permission);
  // The training of OUT/train; refers to this, which outlives it.
  train::FitInput fit(const RunContext& context) const;
};

}  // namespace retort::pipeline
