// Trains a student on records that were cleared for it, by the objectives of objective.h: on the
// teacher's answers as text, with the prompt as context and the stop token learnt, or on its
// distributions at their tokens. Only cleared records and cleared weights can get in.
//
// Repeatable bit for bit for a seed, a number of threads and a processor; killed at any time, the
// same call goes on from the last checkpoint and ends with the same bytes. One compute thread team;
// call from one thread. Writes FOLDER/metrics.jsonl (a line a step, metrics.h) and
// FOLDER/checkpoints/ (checkpoint.h).
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "corpus/clearance.h"
#include "corpus/terms_part.h"
#include "lineage/manifest.h"
#include "model/lora.h"
#include "model/weights.h"
#include "terms/action.h"
#include "tokenizer/tokenizer.h"
#include "train/checkpoint.h"
#include "train/collective.h"
#include "train/options.h"

namespace retort::train {

struct FitInput {
  const corpus::Cleared<terms::TrainGenerative>& data;
  // Measures the held-out loss after each epoch; nullptr: not measured, and patience has no effect.
  const corpus::Cleared<terms::Evaluate>* held_out = nullptr;
  // The teacher's weights, where the objective asks for its distributions online; else nullptr.
  const corpus::ClearedWeights<terms::TrainGenerative>* teacher = nullptr;
  // The teacher's address, where the objective asks it over HTTP; else nullptr.
  const corpus::ClearedDoor<terms::TrainGenerative>* door = nullptr;
  std::string api_key_env = {};  // the environment variable with its key; "": none
  std::string scores = {};       // a file of what it said, which trainings with other options share
  // What the student starts from; needed when student.from is not "scratch", else nullptr.
  const corpus::ClearedWeights<terms::TrainGenerative>* base_weights = nullptr;
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer;  // the student's own
  // Where that is the base's trimmed one, the base's id of each of its tokens; else empty.
  std::vector<tokenizer::TokenId> kept_tokens = {};
  TrainOptions options;
  StudentOptions student;
  // The parts that options.isolate_by asks for; null where it asks for none.
  corpus::TermsPartOf part_of = nullptr;
  std::string folder;  // OUT/train
  // Tokens a second of the matrix products alone; nullptr: measured before the first step
  // (probe.h).
  std::function<double()> limit = nullptr;
  std::function<void(const LoopState&)> on_step = nullptr;
  // Other processes that train along (assist.h), of which this is rank 0; nullptr: none.
  Collective* collective = nullptr;
};

struct Outcome {
  model::Weights weights;                 // with what the adapter adds
  std::optional<model::Adapter> adapter;  // where train.lora_rank asks for one
  LoopState state;                        // steps, tokens, seconds, losses
  int64_t total_steps = 0;
  int64_t records = 0;
  int64_t too_long = 0;        // records left out
  int64_t trained_tokens = 0;  // that the loss counts, an epoch
  int64_t held_out_records = 0;
  int64_t resumed_step = -1;  // -1: began anew
  int64_t refused_steps = 0;
  std::vector<KeptCheckpoint> kept;  // one a part, where it went by parts
  bool stopped_early = false;
  bool weights_of_best_step = false;  // patience chose by held-out loss: say so in the evaluation
  double limit_tokens_per_second = 0;
  model::Precision precision = model::Precision::fp32;
};

// `run`: the manifest of exactly this input, which stands in the log before the first step.
// Errors: usage (an option, or a checkpoint of other options or data), bad_input (no rows, steps
// without a finite loss), storage, interrupted (Ctrl-C; a checkpoint was written).
Result<Outcome> fit(const FitInput& input, const lineage::LoggedRun& run);

}  // namespace retort::train
