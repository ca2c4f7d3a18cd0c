// What the student samples is a function of weights, seed and step; learning from it brings the
// student near the teacher where it goes itself; a resumed run samples the same.
#include "base/cancel.h"
#include "base/parallel.h"
#include "train/classroom_internal.h"
#include "train/loop_internal.h"
#include "train/rollout_internal.h"

namespace retort::train {
namespace {

TrainOptions on_policy_options() {
  TrainOptions options = quick_options();
  options.objective = "reverse_kl";
  options.on_policy = 1;
  options.rollout_tokens = 8;
  options.batch_tokens = 200;
  options.checkpoint_every = 1000;
  return options;
}

struct Lesson {
  Classroom room;
  TrainOptions options = on_policy_options();
  model::Weights weights = model::Weights::random(shape(room.vocab), 5);
  std::string folder;

  Lesson() {
    base::set_thread_count(1);  // so little work is slower on more
    for (int i = 0; i < 9; ++i) {
      EXPECT_TRUE(*room.add("q" + std::to_string(i), "a" + std::to_string(i), "Be brief."));
    }
    EXPECT_TRUE(room.teacher->prepare(200, 20, model::Precision::fp32).ok());
  }
  Rollouts rollouts() {
    return {{weights, nullptr, room.student, room.format.stop_token()}, options, *room.teacher};
  }
  Result<LoopOutcome> go(std::function<void(const LoopState&)> on_step = nullptr) {
    Rollouts sampler = rollouts();
    const Examples none;
    return run_loop(weights, {.data = room.rows,
                              .held_out = none,
                              .options = options,
                              .teacher = room.teacher.get(),
                              .sample =
                                  [&](std::span<const uint32_t> rows, int64_t step) {
                                    return sampler.sample(room.rows.rows, rows, step);
                                  },
                              .folder = folder,
                              .identity = {},
                              .limit = nullptr,
                              .on_step = std::move(on_step),
                              .at_save_point = nullptr});
  }
};

TEST(Rollouts, AreOfTheWeightsTheSeedAndTheStep) {
  Lesson lesson;
  const std::vector<uint32_t> rows = {3, 0, 8};
  Rollouts sampler = lesson.rollouts();
  const auto first = sampler.sample(lesson.room.rows.rows, rows, 4);
  const auto again = sampler.sample(lesson.room.rows.rows, rows, 4);
  const auto later = sampler.sample(lesson.room.rows.rows, rows, 5);
  ASSERT_TRUE(first && again && later);
  EXPECT_EQ(digest(*first), digest(*again));
  EXPECT_NE(digest(*first), digest(*later));
  for (size_t i = 0; i < rows.size(); ++i) {
    const Example& given = lesson.room.rows.rows[rows[i]];
    const Example& sampled = first->rows[i];
    size_t prompt = 0;
    while (!given.trained[prompt]) ++prompt;
    ASSERT_GT(sampled.ids.size(), prompt);
    EXPECT_LE(sampled.ids.size(), prompt + 9);
    for (size_t j = 0; j < sampled.ids.size(); ++j) {
      EXPECT_EQ(sampled.trained[j], j >= prompt);
      if (j < prompt) {
        EXPECT_EQ(sampled.ids[j], given.ids[j]);
      }
    }
  }
}

TEST(Rollouts, TheStudentComesNearTheTeacherOnItsOwnAnswers) {
  Lesson lesson;
  lesson.options.epochs = 120;
  lesson.options.lr = 1e-2;
  lesson.folder = fresh_folder("near");
  double first = 0;
  const auto outcome = lesson.go([&](const LoopState& state) {
    if (state.step == 1) first = state.last_loss;
  });
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_LT(outcome->state.last_loss, 0.7 * first);
}

TEST(Rollouts, ResumeIsBitwise) {
  Lesson whole;
  whole.options.epochs = 4;
  whole.options.on_policy = 0.6;  // some steps of each kind
  whole.folder = fresh_folder("whole");
  const auto reference = whole.go();
  ASSERT_TRUE(reference) << reference.error().text();
  for (int64_t k = 1; k < reference->total_steps; ++k) {
    Lesson first;
    first.options = whole.options;
    first.folder = fresh_folder("resumed");
    ASSERT_FALSE(first.go([&](const LoopState& state) {
      if (state.step == k) base::request_cancel();
    }));
    base::reset_cancel();
    Lesson second;
    second.options = whole.options;
    second.folder = first.folder;
    ASSERT_TRUE(second.go());
    ASSERT_TRUE(same_bytes(second.weights, whole.weights)) << "interrupted after step " << k;
  }
}

}  // namespace
}  // namespace retort::train
