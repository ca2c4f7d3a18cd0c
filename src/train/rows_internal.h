// From the records that fit() was given to the rows of a training. Private to the room.
#pragma once
#include "tokenizer/chat.h"
#include "train/door_teacher_internal.h"
#include "train/examples.h"
#include "train/fit.h"
#include "train/online_teacher_internal.h"

namespace retort::train {

struct Reading {
  const tokenizer::Tokenizer& tokenizer;
  const tokenizer::ChatFormat& format;
  int64_t limit;  // inputs of a row
  // Whoever reads along, system messages and all: one of them, or none.
  OnlineTeacher* teacher;
  DoorTeacher* door;
  bool without_system;
};

struct Rows {
  Examples data, held_out;
};
// With what the teacher recorded of them, where the objective learns from that.
Result<Rows> rows_of(const FitInput& input, const Reading& reading);
// The same rows with targets that were drawn from the teacher's distributions, which is prepared.
Result<Rows> draw_rows(const FitInput& input, Rows rows, OnlineTeacher& teacher, int64_t vocab);
// The same rows as pairs by what the teacher thinks of them, with what the first weights do: for
// objectives that learn pairs. `teacher` is ready to be asked, or null where it recorded what it
// thinks.
Result<Rows> pairs_of(const FitInput& input, Rows rows, Scorer* teacher,
                      const model::Weights& first);

}  // namespace retort::train
