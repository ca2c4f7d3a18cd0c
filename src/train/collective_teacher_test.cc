// Several processes that learn from the distributions of a teacher, which rank 0 gives to all.
#include <cmath>
#include <cstring>

#include "base/parallel.h"
#include "train/assist.h"
#include "train/classroom_internal.h"
#include "train/lesson_internal.h"
#include "train/objective.h"
#include "train/ranks_internal.h"

namespace retort::train {
namespace {

// The teacher is told more than the student and has ids of its own.
int train_by_a_teacher(Collective& ranks, const std::string& folder) {
  base::set_thread_count(1);
  Classroom room;
  for (int i = 0; i < 14; ++i) {
    const std::string number = std::to_string(i);
    if (!*room.add("q" + number, "ab" + std::string(static_cast<size_t>(i % 5), 'c') + number,
                   "Be brief.")) {
      return 2;
    }
  }
  TrainOptions options = quick_options();
  options.objective = "jsd";
  options.batch_tokens = 120;
  if (!room.teacher->prepare(options.batch_tokens, 0, model::Precision::fp32)) return 3;
  Examples held_out;
  held_out.rows.assign(room.rows.rows.begin(), room.rows.rows.begin() + 3);
  model::Weights weights = model::Weights::random(shape(room.vocab), 5);
  const LoopInput input{.data = room.rows,
                        .held_out = held_out,
                        .options = options,
                        .teacher = room.teacher.get(),
                        .folder = folder,
                        .identity = {},
                        .limit = nullptr,
                        .on_step = nullptr,
                        .at_save_point = nullptr,
                        .collective = &ranks};
  if (ranks.size() > 1) give_lesson(ranks, input, weights, nullptr, room.teacher.get());
  const auto done = run_loop(weights, input);
  if (!done) return 4;  // the others fail as well, and wait for nothing
  if (ranks.size() > 1) dismiss(ranks);
  const auto bytes = std::as_bytes(weights.block());
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return base::write_file_atomic(base::join(folder, "weights"), text) ? 0 : 1;
}

std::vector<float> trained_on(int size) {
  const std::string folder = fresh_folder("on_" + std::to_string(size));
  const auto codes = run_ranks(size, [&](Collective& ranks) {
    base::set_thread_count(1);
    if (ranks.is_first()) return train_by_a_teacher(ranks, folder);
    return assist(ranks) ? 0 : 1;
  });
  EXPECT_EQ(codes, std::vector<int>(static_cast<size_t>(size), 0));
  const std::string text = base::read_file(base::join(folder, "weights")).value_or("");
  std::vector<float> values(text.size() / sizeof(float));
  std::memcpy(values.data(), text.data(), text.size());
  return values;
}

TEST(CollectiveTeacher, GivesTheStudentOfOneProcess) {
  const auto alone = trained_on(1);
  ASSERT_FALSE(alone.empty());
  for (const int size : {2, 3}) {
    const auto together = trained_on(size);
    ASSERT_EQ(together.size(), alone.size()) << size;
    for (size_t i = 0; i < alone.size(); ++i) ASSERT_NEAR(together[i], alone[i], 3e-5) << i;
  }
}

}  // namespace
}  // namespace retort::train
