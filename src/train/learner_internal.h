// The network that is trained, and what it learns of a step's rows: their loss and their gradient.
// Every counted token (or pair) weighs the same, in whichever batch of the step it stands and
// whichever of several processes computes it. Private to the room.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "model/network.h"
#include "train/collective.h"
#include "train/examples.h"
#include "train/loop_internal.h"
#include "train/trainable.h"

namespace retort::train {

class Learner {
 public:
  // Keeps references; with an adapter it alone is trained.
  Learner(model::Weights& weights, model::Adapter* adapter, const LoopInput& input,
          model::Precision precision);

  // Loss of these batches of rows; gradients() are theirs afterwards. With several processes each
  // computes its share, and all have the whole afterwards: the same bytes.
  // Which channels are dropped is a function of the seed, the step and the row's number alone.
  model::LossSum learn(const std::vector<Example>& rows,
                       std::span<const std::vector<uint32_t>> batches, int64_t step);
  // Loss alone.
  model::LossSum measure(const std::vector<Example>& rows);
  // Of gradients().
  double squares();

  Trainable trained() const { return trained_; }
  std::span<float> gradients() { return gradients_; }
  model::Network& network() { return network_; }
  int64_t inputs() const { return inputs_; }  // of all that was learnt from
  uint32_t together() const;                  // rows of a batch that are one unit

 private:
  std::vector<uint64_t> dropout_seeds(std::span<const uint32_t> rows, int64_t step) const;
  int64_t units(const std::vector<Example>& rows,
                std::span<const std::vector<uint32_t>> batches) const;
  model::LossSum sum_over_all(const model::LossSum& mine, int64_t& inputs);

  const TrainOptions& options_;
  Collective& collective_;
  Trainable trained_;
  const std::unique_ptr<model::RowWeigher> weigher_;  // what the network asks, where one is wanted
  model::Network network_;
  std::vector<float> gradients_;
  int64_t inputs_ = 0;
};

}  // namespace retort::train
