// Whether one vocabulary's tokens are all among another's, so that distributions over the one can
// be read off distributions over the other.
#pragma once
#include <vector>

#include "tokenizer/tokenizer.h"

namespace retort::tokenizer {

// For each token of `part` the id of the same token in `whole`: the same bytes, and a special token
// where it is one. Equal vocabularies and trimmed ones match. Refuses others with the number of
// tokens that are missing and the first of them.
Result<std::vector<TokenId>> match(const Tokenizer& part, const Tokenizer& whole);

}  // namespace retort::tokenizer
