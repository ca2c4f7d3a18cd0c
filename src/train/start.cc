#include "train/start.h"

#include "tokenizer/chat.h"

namespace retort::train {

Result<std::shared_ptr<const tokenizer::Tokenizer>> base_tokenizer(
    const corpus::ClearedWeights<terms::TrainGenerative>& weights) {
  RETORT_TRY(auto tokenizer, tokenizer::load_tokenizer(weights.path()));
  if (!tokenizer->vocabulary().byte_tokens.empty()) {
    return base::bad_input("its tokenizer is SentencePiece's, which export does not write",
                           weights.path(), "start from a model with byte-level BPE");
  }
  const auto format = tokenizer::ChatFormat::detect(*tokenizer);
  if (!format) return format.error().at(weights.path());
  return tokenizer;
}

}  // namespace retort::train
