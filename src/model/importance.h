// How much each part of a model matters on given texts, and the parts to keep by it. Activations
// say it as in Minitron (Muralidharan et al. 2024, arXiv 2407.14679): the size of a head's output,
// of an inner channel, of a channel of the norms' outputs. A block is judged by the loss without
// it: block influence (Men et al. 2024, arXiv 2403.03853) chose worse here (docs/internals/log.md).
// One compute thread team; not thread-safe.
#pragma once
#include <span>
#include <vector>

#include "model/network.h"
#include "model/prune.h"

namespace retort::model {

// Higher is more important. Empty where it was not measured.
struct Importance {
  std::vector<double> layers;                 // loss of the texts without the block
  std::vector<std::vector<double>> kv_heads;  // [layer][KV]: mean norm of the heads' outputs,
                                              // summed over those that share it
  std::vector<std::vector<double>> ffn;       // [layer][F]: root of the mean square
  std::vector<double> width;                  // [C]: mean absolute value, over all norms
};

// All but layers, from one forward pass. `network` is one of `config`'s weights; its observer is
// taken, and none is left.
Importance measure_activations(Network& network, const Config& config,
                               std::span<const Batch> texts);

// The loss of the texts without each block in turn, summed. `network` is one of `weights`, which
// are changed and put back.
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
