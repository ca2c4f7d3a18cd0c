// What training could reach at most on this machine. Private to the room.
#pragma once
#include <functional>

#include "model/lora.h"
#include "model/network.h"
#include "train/examples.h"
#include "train/options.h"

namespace retort::train {

// Measures, when it is called, the tokens a second of the matrix products alone (probe.h) for these
// rows. `lora` must live until then; nullptr: all weights are trained.
std::function<double(model::Precision)> limit_of(const model::Config& config, const Examples& data,
                                                 const TrainOptions& options,
                                                 const model::LoraConfig* lora);

}  // namespace retort::train
