// What a network's loss is, beside the batch: cross-entropy with the targets, and a divergence from
// a teacher's distributions over the same vocabulary; or cross-entropy whose rows are weighed by
// what the student thinks of them.
#pragma once
#include <cstdint>
#include <span>

#include "kernels/distill.h"

namespace retort::model {

struct Batch;

// A teacher that is asked for logits while a batch is learnt from.
class LogitSource {
 public:
  virtual ~LogitSource() = default;
  // Before any row of a batch is asked for.
  virtual void start(const Batch& batch) = 0;
  // Logits [rows, V] of the student's vocabulary at these rows of the batch.
  virtual void logits(std::span<const int32_t> rows, float* to) = 0;
};

// For objectives whose gradient is that of cross-entropy with weights which the student's own
// log-probabilities decide: policy gradients, preferences. Asked for every batch that brings
// Batch::reference.
class RowWeigher {
 public:
  virtual ~RowWeigher() = default;
  struct Loss {
    double sum = 0;
    double divergence_sum = 0;  // estimated, where the objective has one
    int64_t units = 0;          // what the loss is a mean over
    int64_t agreed = 0;         // units that are as they should be, where that can be said
  };
  // `rows`: those of the batch whose target counts, ascending; `nll`: of their targets, which the
  // weights are to be constants beside. The gradient of sum(weights nll) is that of the loss.
  virtual Loss weigh(const Batch& batch, std::span<const int32_t> rows, std::span<const float> nll,
                     std::span<float> weights) = 0;
};

struct Objective {
  kernels::HardTerm hard = {};
  kernels::SoftTerm soft = {};     // where its weight is 0 there is no teacher
  LogitSource* teacher = nullptr;  // none: the batch's sparse targets are the teacher's
  RowWeigher* weigher = nullptr;   // costs the head's product once more; `hard` alone beside it
  // Ids from here on are no tokens and have no probability; 0: all have. A student whose answers
  // are weighed never draws them, and what is taken from drawn tokens would go there.
  int64_t spoken = 0;
  bool needs_teacher() const { return soft.weight != 0; }
};

}  // namespace retort::model
