#include "train/assist.h"

#include "train/lesson_internal.h"
#include "train/limit_internal.h"

namespace retort::train {
namespace {

Result<void> take_part(Collective& collective, Lesson& lesson) {
  model::Adapter* const adapter = lesson.adapter ? &*lesson.adapter : nullptr;
  RETORT_TRY_VOID(run_loop(lesson.weights,
                           {.data = lesson.data,
                            .held_out = lesson.held_out,
                            .options = lesson.options,
                            .teacher = lesson.teacher.get(),
                            .spoken = lesson.spoken,
                            .measure_start = lesson.measure_start,
                            .folder = "",
                            .identity = {},
                            .limit = limit_of(lesson.weights.config(), lesson.data, lesson.options,
                                              adapter == nullptr ? nullptr : &adapter->lora()),
                            .on_step = nullptr,
                            .at_save_point = nullptr,
                            .collective = &collective},
                           adapter));
  return {};
}

}  // namespace

Result<void> assist(Collective& collective) {
  while (true) {
    RETORT_TRY(auto lesson, receive_lesson(collective));
    if (!lesson) return {};
    RETORT_TRY_VOID(take_part(collective, *lesson));
  }
}

void dismiss(Collective& collective) {
  end_lessons(collective);
}

}  // namespace retort::train
