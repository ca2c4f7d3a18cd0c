// What the student samples is a function of weights, seed and step; learning from it brings the
// student near the teacher where it goes itself; a resumed run samples the same.
#include <cmath>
#include <numeric>

#include "base/cancel.h"
#include "base/parallel.h"
#include "train/classroom_internal.h"
#include "train/loop_internal.h"
#include "train/objective.h"
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
    return {{weights, nullptr, room.student, room.format.stop_token()}, options};
  }
  Judges judges() const {
    if (asks_scores(options)) return {.scores = room.teacher.get()};
    return {.distributions = room.teacher.get()};
  }
  Result<Examples> answers(std::span<const uint32_t> rows, int64_t step) {
    return OnPolicy(rollouts(), judges(), room.rows.rows, options).answers(rows, step);
  }
  // Mean reverse KL from the teacher on the student's own answers, exact at each token.
  double divergence() {
    std::vector<uint32_t> all(room.rows.rows.size());
    std::iota(all.begin(), all.end(), 0);
    options.objective = "reverse_kl";
    model::Network network(weights, 1000, model::Precision::fp32);
    model::Objective objective = objective_of(options, room.teacher.get());
    objective.spoken = room.student->size();
    network.set_objective(objective);
    model::LossSum sum;
    for (int64_t step = 1000; step < 1010; ++step) {
      const Examples sampled = *answers(all, step);
      sum.add(network.loss(make_batch(sampled.rows, all)));
    }
    return sum.divergence();
  }
  Result<LoopOutcome> go(std::function<void(const LoopState&)> on_step = nullptr) {
    OnPolicy own(rollouts(), judges(), room.rows.rows, options);
    const Examples none;
    return run_loop(weights, {.data = room.rows,
                              .held_out = none,
                              .options = options,
                              .teacher = room.teacher.get(),
                              .own_answers = &own,
                              .spoken = room.student->size(),
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

// What the engine drew a token with is what the trainer's network says of it, stop token and all.
TEST(Rollouts, TokensStandWithWhatTheyWereDrawnWith) {
  Lesson lesson;
  lesson.options.rollout_tokens = 40;
  const std::vector<uint32_t> chosen = {3, 0, 8, 1, 2, 4};
  const auto sampled = lesson.rollouts().sample(lesson.room.rows.rows, chosen, 4);
  ASSERT_TRUE(sampled);
  const std::vector<uint32_t> all = {0, 1, 2, 3, 4, 5};
  const model::Batch batch = make_batch(sampled->rows, all);
  std::vector<float> nll(batch.tokens.size());
  model::Network(lesson.weights, 1000, model::Precision::fp32).loss(batch, nll);
  for (size_t i = 0; i < nll.size(); ++i) EXPECT_NEAR(batch.drawn[i], -nll[i], 2e-2) << i;
}

// Log-probabilities of a sample's tokens are those that its distributions give them, but for the
// tokens that the student has not got.
TEST(Rollouts, ScoresAreOfTheTeachersDistributions) {
  Lesson lesson;
  lesson.options.objective = "sampled_reverse_kl";
  const std::vector<uint32_t> chosen = {3, 0, 8};
  const Examples scored = *lesson.answers(chosen, 4);
  lesson.options.objective = "reverse_kl";
  const Examples given = *lesson.answers(chosen, 4);
  const std::vector<uint32_t> all = {0, 1, 2};
  const model::Batch batch = make_batch(given.rows, all);
  lesson.room.teacher->start(batch);
  std::vector<float> logits(static_cast<size_t>(lesson.room.vocab));
  size_t counted = 0;
  for (int32_t row = 0; row < static_cast<int32_t>(batch.tokens.size()); ++row) {
    if (batch.targets[row] < 0) continue;
    lesson.room.teacher->logits(std::vector<int32_t>{row}, logits.data());
    double total = 0;
    for (const float z : logits) total += std::exp(static_cast<double>(z));
    const double known = logits[batch.targets[row]] - std::log(total);
    // By the mass of tokens that the student has not got; never more likely.
    const double less = known - make_batch(scored.rows, all).reference[row];
    EXPECT_GE(less, -1e-4);
    EXPECT_LE(less, 2);
    ++counted;
  }
  EXPECT_GE(counted, 3U);
}

TEST(Rollouts, SampledTokensAloneBringTheStudentNearTheTeacher) {
  Lesson lesson;
  lesson.options.epochs = 600;
  lesson.options.batch_tokens = 600;  // all prompts in one step
  lesson.options.lr = 3e-3;
  lesson.folder = fresh_folder("sampled");
  const double before = lesson.divergence();
  lesson.options.objective = "sampled_reverse_kl";
  const auto outcome = lesson.go();
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_LT(lesson.divergence(), 0.8 * before);
}

void expect_bitwise_resume(const std::string& objective, int64_t replay_answers = 0) {
  Lesson whole;
  whole.options.objective = objective;
  whole.options.replay_answers = replay_answers;
  whole.options.replay_uses = 3;
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

TEST(Rollouts, ResumeIsBitwise) {
  expect_bitwise_resume("reverse_kl");
}
TEST(Rollouts, ResumeIsBitwiseWithSampledTokens) {
  expect_bitwise_resume("sampled_reverse_kl");
}
TEST(Rollouts, ResumeIsBitwiseWithAnswersThatAreLearntFromAgain) {
  expect_bitwise_resume("reverse_kl", 6);
  expect_bitwise_resume("sampled_reverse_kl", 6);
}

}  // namespace
}  // namespace retort::train
