// What could be reached at most: a detector that knows a campaign after so many of its requests in
// all, and then suspends each of its accounts at the account's so-manieth request.
#pragma once
#include <vector>

#include "harvest/world.h"

namespace retort::bench::harvest {

// A table for each variant among the worlds' campaigns: how many would be stopped before a tenth of
// their list was got.
void print_oracle(const Texts& texts, const std::vector<Spec>& worlds);

}  // namespace retort::bench::harvest
