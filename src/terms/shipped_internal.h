// Which of the shipped readings speak of a door.
#pragma once
#include <string_view>
#include <vector>

#include "terms/evaluate.h"

namespace retort::terms {

bool is_shipped_series(std::string_view series);
// The first of each series that restricts this door, or these weights.
std::vector<const Pin*> shipped_for(const Facts& facts);

}  // namespace retort::terms
