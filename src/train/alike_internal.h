// That processes which train together compute the same. Private to the room.
#pragma once
#include <span>

#include "base/result.h"
#include "model/network.h"
#include "train/collective.h"

namespace retort::train {

// The update of the weights is computed everywhere, and must be rounded alike: usage error where
// processors differ.
Result<void> check_processors(Collective& collective, model::Precision precision);
// That the weights are the same bytes everywhere, as they are where every sum is.
Result<void> check_alike(Collective& collective, std::span<const float> weights, int64_t step);

}  // namespace retort::train
