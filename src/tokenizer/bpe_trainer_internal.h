// The trainer over bare texts, for the room's own tests; everybody else comes through
// bpe_trainer.h, which asks for cleared text.
#pragma once
#include <array>
#include <string_view>
#include <vector>

#include "tokenizer/bpe_trainer.h"

namespace retort::tokenizer {

Result<TrainedTokenizer> train_bpe_on(const std::vector<std::string_view>& texts,
                                      const BpeTrainerOptions& options);

// One kind of word of a corpus and how often it stands there. `word` points into the texts.
struct WordCount {
  std::string_view word;
  uint64_t count;
};
// In no particular order: what is learnt from them does not depend on it.
std::vector<WordCount> count_words(const std::vector<std::string_view>& texts, PreTokenizer pre);

// Merges of byte ids and earlier results, in order of rank. A merge whose bytes are a token already
// leads to that one, as in Hugging Face's trainer.
struct LearntMerges {
  std::vector<std::pair<TokenId, TokenId>> merges;
  std::vector<std::string> tokens;  // the new ones, in order of id
};
struct MergeLimits {
  TokenId first_new_id = 256;
  int64_t new_tokens = 0;  // at most
  uint64_t min_count = 2;  // a pair that stands more seldom is not merged
};
// At most kMostSymbols bytes in all words together.
constexpr uint64_t kMostSymbols = UINT32_MAX - 1;
LearntMerges learn_merges(const std::vector<WordCount>& words,
                          const std::array<TokenId, 256>& byte_ids, const MergeLimits& limits);

}  // namespace retort::tokenizer
