// What rank 0 gives the other ranks before a training: options, rows, weights and the teacher. They
// need no files and no permission of their own, since all of it is what fit() was given cleared.
// Private to the room.
#pragma once
#include <optional>

#include "model/lora.h"
#include "model/weights.h"
#include "train/collective.h"
#include "train/examples.h"
#include "train/loop_internal.h"
#include "train/online_teacher_internal.h"
#include "train/options.h"

namespace retort::train {

struct Lesson {
  TrainOptions options;
  Examples data, held_out;
  model::Weights weights;
  std::optional<model::Adapter> adapter;
  std::unique_ptr<OnlineTeacher> teacher;  // null where the objective asks none
  int64_t spoken = 0;
  bool measure_start = false;
};

// Rank 0's part; the others are in receive_lesson().
void give_lesson(Collective& collective, const LoopInput& input, model::Weights& weights,
                 model::Adapter* adapter, OnlineTeacher* teacher);
// That there will be no more lessons.
void end_lessons(Collective& collective);
// The others' part: the next lesson, or nothing once there are no more. Errors: usage, where this
// rank cannot make the teacher's network.
Result<std::optional<Lesson>> receive_lesson(Collective& collective);

}  // namespace retort::train
