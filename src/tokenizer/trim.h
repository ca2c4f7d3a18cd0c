// A smaller vocabulary out of a larger one: the tokens that a corpus uses. A student that starts
// from a teacher's weights keeps the rows of those, and the teacher's logits of them fit it.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace retort::tokenizer {

struct Trimmed {
  std::shared_ptr<const Tokenizer> tokenizer;
  std::vector<TokenId> old_ids;  // of each new token, ascending
};

// Keeps the used ids, whatever they are merged from on the way that encode() takes, all tokens of
// one byte and all special tokens, in their old order; of the merges, those among kept tokens.
// A text whose encoding was among `used` encodes to the same tokens as before; any other text
// encodes to tokens that decode to the same bytes. Byte-level BPE alone; others, and ids outside
// the vocabulary, are bad input.
Result<Trimmed> trim(const Tokenizer& tokenizer, const std::vector<TokenId>& used);

// new_ids[old id]: -1 where the token was left out. `old_size` is the old vocabulary's.
std::vector<TokenId> new_ids(const std::vector<TokenId>& old_ids, int64_t old_size);

// JSON: {"schema": "retort.remap/1", "old_ids": [...]}. Reading refuses ids that do not ascend.
Result<void> save_remap(const std::vector<TokenId>& old_ids, const std::string& path);
Result<std::vector<TokenId>> load_remap(const std::string& path);

}  // namespace retort::tokenizer
