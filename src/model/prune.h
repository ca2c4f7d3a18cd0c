// Smaller weights out of larger ones by leaving parts out whole: blocks, heads, inner channels,
// channels of the residual stream, rows of the vocabulary (structured pruning, as Minitron's:
// Muralidharan et al. 2024, "Compact Language Models via Pruning and Knowledge Distillation",
// arXiv 2407.14679). Pure functions; what to keep, importance.h measures.
#pragma once
#include <cstdint>
#include <vector>

#include "model/weights.h"

namespace retort::model {

// What is kept, each list ascending and not empty. A head of keys and values is kept with all
// queries that share it.
struct PrunePlan {
  std::vector<int64_t> layers;
  std::vector<std::vector<int64_t>> kv_heads;  // of each kept layer, in all equally many
  std::vector<std::vector<int64_t>> ffn;       // likewise
  std::vector<int64_t> width;
  std::vector<int64_t> vocab;
};

// Everything.
PrunePlan whole_plan(const Config& config);

// Lists that do not fit the weights are a programmer's mistake. RMSNorm takes the mean over the
// channels that are left, so norms and epsilon are scaled by what a mean over all would have been:
// leaving out channels that are zero changes no logit.
Config pruned_config(const Config& config, const PrunePlan& plan);
Weights prune(const Weights& weights, const PrunePlan& plan);

}  // namespace retort::model
