// Pairs of answers to the same prompt, the better one first: what a preference
// (weighing_internal.h) is learnt from. Private to the room.
#pragma once
#include <span>
#include <vector>

#include "model/network.h"
#include "train/examples.h"

namespace retort::train {

struct Pairs {
  Examples data;      // rows 2i and 2i + 1 are a pair
  int64_t alone = 0;  // rows without a worse or better answer to the same prompt
};

// Of each prompt the answer with the highest and that with the lowest score, where those differ.
// `scores`: one a row; NaN where nobody ranked it. Pairs of more than `limit` inputs are left out.
Pairs pair_up(std::vector<Example> rows, std::span<const double> scores, int64_t limit);

// How likely an answer is to whoever wrote `reference`, nats a token. A mean, since a sum would
// rank answers by their length.
double mean_reference(const Example& row);

// Writes `reference` of all rows as the network has it now.
void refer_to(model::Network& network, std::vector<Example>& rows, int64_t batch_tokens);

}  // namespace retort::train
