// How well a model predicts answers that it never saw: the cost of each answer in bits, under the
// student and under the n-gram, token by token over the same tokens. Counted are the answer's
// tokens and the stop token behind it, for both alike; the prompt is context.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "evaluate/kneser_ney.h"
#include "model/weights.h"
#include "tokenizer/chat.h"

namespace retort::evaluate {

// A dialog as the student sees it, cut behind the last counted token.
struct Scored {
  std::vector<int32_t> ids;
  std::vector<bool> counted;
  int64_t answer_bytes = 0;
};
Result<Scored> render(const tokenizer::Tokenizer& tokenizer, const tokenizer::ChatFormat& format,
                      const dialog::Messages& messages);

// Bits of each text's counted tokens. No text may be longer than the model's positions. Fails when
// cancelled.
Result<std::vector<double>> student_bits(const model::Weights& weights,
                                         const std::vector<Scored>& texts);
std::vector<double> ngram_bits(const KneserNey& ngram, const std::vector<Scored>& texts);

}  // namespace retort::evaluate
