// What a network's loss is, beside the batch: cross-entropy with the targets, and a divergence from
// a teacher's distributions over the same vocabulary.
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

struct Objective {
  kernels::HardTerm hard = {};
  kernels::SoftTerm soft = {};     // where its weight is 0 there is no teacher
  LogitSource* teacher = nullptr;  // none: the batch's sparse targets are the teacher's
  bool needs_teacher() const { return soft.weight != 0; }
};

}  // namespace retort::model
