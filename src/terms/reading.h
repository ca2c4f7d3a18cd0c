// A signed reading: the id of a terms file under a decider's signature. [review] sig names the file
// beside it that holds the envelope; its statement (statement.h) is of predicateType kReadingType,
// has the terms' id as its one subject and the predicate {"reader", "role"}, equal to the file's
// own.
#pragma once
#include <string>

#include "base/result.h"
#include "terms/statement.h"
#include "terms/terms.h"

namespace retort::terms {

inline constexpr const char* kReadingType = "https://retort.local/retort/reading/v1";

// The statement to be signed.
std::string reading_statement(const Terms& terms);
// Sets is_signed: whether the envelope is a decider's, about this very file.
void check_signature(Terms& terms, const Deciders& deciders);

}  // namespace retort::terms
