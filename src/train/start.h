// What a student starts from that does not start from scratch: the tokenizer and the weights of a
// cleared model, whole or with parts left out (model/prune.h, tokenizer/trim.h). Only cleared
// weights and cleared records can get in. Pure functions of them, of options and of the number of
// threads; one compute thread team.
#pragma once
#include <memory>

#include "base/result.h"
#include "corpus/clearance.h"
#include "terms/action.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/trim.h"
#include "train/fit.h"

namespace retort::train {

// The one that came with the weights, which alone fits their rows. Refuses, before anything is
// trained, one that could not be written out with the student, and one that fits no known chat
// template.
Result<std::shared_ptr<const tokenizer::Tokenizer>> base_tokenizer(
    const corpus::ClearedWeights<terms::TrainGenerative>& weights);

// The tokens that the records take as dialogs, out of their base's; and those around a system,
// user and assistant message.
Result<tokenizer::Trimmed> trim_tokenizer(const tokenizer::Tokenizer& base,
                                          const corpus::Cleared<terms::TrainGenerative>& data);

// The weights of input.base_weights with what [student] leaves out left out: the parts that matter
// least on a sample of the records. Where anything is left out, says in the log what was kept and
// what it costs, and writes FOLDER/start.json.
Result<model::Weights> start_weights(const FitInput& input);

}  // namespace retort::train
