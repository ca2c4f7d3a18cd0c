// How much each part of a model matters on given texts, from one forward pass over them, and the
// parts to keep by it. Activations say it as in Minitron (arXiv 2407.14679): the size of a head's
// output, of an inner channel, of a channel of the norms' outputs. Blocks are judged by block
// influence, 1 - cos(input, output) (Men et al. 2024, "ShortGPT", arXiv 2403.03853), or by the loss
// without them. One compute thread team; not thread-safe.
#pragma once
#include <span>
#include <vector>

#include "model/network.h"
#include "model/prune.h"

namespace retort::model {

struct Importance {
  std::vector<double> layers;                 // block influence, mean over tokens
  std::vector<std::vector<double>> kv_heads;  // of each layer, the heads that share it summed
  std::vector<std::vector<double>> ffn;       // of each layer
  std::vector<double> width;
};
// `network` is one of `config`'s weights; its observer is taken, and none is left. `loss`, where
// given, is what the texts cost on the way.
Importance measure_importance(Network& network, const Config& config, std::span<const Batch> texts,
                              LossSum* loss = nullptr);

// The loss of the texts without each block in turn. `network` is one of `weights`, which are
// changed and put back.
std::vector<double> losses_without_layers(Network& network, Weights& weights,
                                          std::span<const Batch> texts);

// How many of each to keep; 0: all.
struct KeepCounts {
  int64_t layers = 0, heads = 0, ffn = 0, width = 0;
};
// More than there are, and heads that split a group, are usage errors.
Result<void> check_counts(const Config& config, const KeepCounts& keep);
// The most important ones, of counts that were checked.
PrunePlan plan_by_importance(const Config& config, const Importance& importance,
                             const KeepCounts& keep);

}  // namespace retort::model
