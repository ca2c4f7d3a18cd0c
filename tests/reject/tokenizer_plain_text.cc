// No vocabulary is learnt from plain text.
// rejected: invalid initialization|could not convert|cannot bind
#include <string_view>
#include <vector>

#include "tokenizer/bpe_trainer.h"

namespace retort {

bool learn(const terms::ClearedText<terms::TrainGenerative>& cleared,
           const std::vector<std::string_view>& texts) {
#ifdef RETORT_FORBIDDEN
  return tokenizer::train_bpe(texts).ok();
#else
  (void)texts;
  return tokenizer::train_bpe(cleared).ok();
#endif
}

}  // namespace retort
