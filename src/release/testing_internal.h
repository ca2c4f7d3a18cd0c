// A small student for the room's tests and for the peers' test: random weights large enough that
// every tensor and every row order shows in the logits, and a byte-level vocabulary with merges.
#pragma once
#include <memory>
#include <string>

#include "model/weights.h"
#include "tokenizer/tokenizer.h"

namespace retort::release {

std::shared_ptr<const tokenizer::Tokenizer> small_tokenizer();
model::Weights small_weights(int64_t vocab, bool tied, uint64_t seed);
// "llama", "qwen2", "qwen3", or "llama3": a llama with Llama 3.1's rotation, "odd" with one that
// has a divisor of its own for each frequency, "linear" with one for all.
model::Weights small_family(const std::string& family, int64_t vocab, uint64_t seed);

}  // namespace retort::release
