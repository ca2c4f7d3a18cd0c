// What a resumed run must have in common with the one that it continues. Private to the room.
#pragma once
#include "json/value.h"
#include "model/config.h"
#include "train/loop_internal.h"

namespace retort::train {

// Options, data, shape and what the caller adds; how often checkpoints are written and what is
// computed twice are not part of it.
json::Value identity_of(const LoopInput& input, const model::Config& config);

}  // namespace retort::train
