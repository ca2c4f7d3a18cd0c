// What a student starts from that does not start from scratch: the tokenizer of cleared weights.
#pragma once
#include <memory>

#include "base/result.h"
#include "corpus/clearance.h"
#include "terms/action.h"
#include "tokenizer/tokenizer.h"

namespace retort::train {

// The one that came with the weights, which alone fits their rows. Refuses, before anything is
// trained, one that could not be written out with the student, and one that fits no known chat
// template.
Result<std::shared_ptr<const tokenizer::Tokenizer>> base_tokenizer(
    const corpus::ClearedWeights<terms::TrainGenerative>& weights);

}  // namespace retort::train
