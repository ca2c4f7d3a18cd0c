// `retort account match FILE`: whose answers the texts of a file are.
#pragma once
#include <string>

#include "accounts/book.h"
#include "base/result.h"

namespace retort::cli {

// FILE: .jsonl and .json, whose strings are texts wherever they stand; anything else is one text.
Result<void> match_answers(accounts::Book& book, const std::string& folder,
                           const std::string& file);

}  // namespace retort::cli
