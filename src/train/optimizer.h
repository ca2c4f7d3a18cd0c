// Changes what is trained by its gradients. "adamw": AdamW throughout (kernels/adamw.h). "muon":
// Muon for the matrices of the blocks (kernels/muon.h), AdamW for vectors, embeddings and the head,
// as its authors advise. The number of threads does not change a result.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "kernels/adamw.h"
#include "kernels/muon.h"
#include "train/options.h"
#include "train/trainable.h"

namespace retort::train {

class Optimizer {
 public:
  // `options` as validated. Keeps a reference to what is trained.
  Optimizer(const Trainable& trained, const TrainOptions& options);

  // Bytes of its state and scratch memory.
  static int64_t memory_bytes(const std::vector<model::TensorInfo>& tensors,
                              const TrainOptions& options);

  struct Step {
    double lr = 0;
    double gradient_scale = 1;  // multiplies every gradient: clipping
    int64_t number = 1;         // of updates, this one included
  };
  // `gradients` are laid out as what is trained.
  void step(std::span<const float> gradients, const Step& step);

  // What a checkpoint must hold beside what is trained.
  std::vector<NamedBlock> state();

 private:
  Trainable trained_;
  bool muon_;
  kernels::AdamW adamw_;
  double weight_decay_, momentum_;
  std::vector<float> first_, second_;
  std::unique_ptr<kernels::Muon> orthogonal_;
};

}  // namespace retort::train
