// Pairs of answers: which become one, that they stay together, and what training on them does.
#include "train/pairs_internal.h"

#include <cmath>
#include <limits>

#include "base/cancel.h"
#include "base/parallel.h"
#include "train/loop_internal.h"
#include "train/test_rows_internal.h"

namespace retort::train {
namespace {

constexpr double kNobodySaid = std::numeric_limits<double>::quiet_NaN();

// Prompts as in mapping_rows(); of each one the right answer and one whose symbols are off by one.
Examples right_and_wrong(int64_t prompts, uint64_t seed) {
  Examples out;
  for (const Example& right : mapping_rows(prompts, seed).rows) {
    Example wrong = right;
    for (size_t i = answer_start(wrong); i + 1 < wrong.ids.size(); ++i) {
      wrong.ids[i] = (wrong.ids[i] - 9) % 10 + 10;
    }
    out.rows.push_back(right);
    out.rows.push_back(std::move(wrong));
  }
  return out;
}

Example row(const std::string& key, std::vector<int32_t> ids, size_t prompt) {
  Example out{.key = key, .ids = std::move(ids), .trained = std::vector<bool>(prompt, false)};
  out.trained.resize(out.ids.size(), true);
  return out;
}

TEST(Pairs, AreTheBestAndTheWorstAnswerToAPrompt) {
  const std::vector<Example> rows = {row("a", {1, 2, 5}, 2), row("b", {1, 3, 5}, 2),
                                     row("c", {1, 2, 6}, 2), row("d", {1, 2, 7, 7}, 2),
                                     row("e", {1, 3, 9}, 2), row("f", {1, 4, 9}, 2),
                                     row("g", {1, 2, 8}, 2)};
  const std::vector<double> scores = {-2, -1, -0.5, -3, -1, -7, kNobodySaid};
  const Pairs pairs = pair_up(rows, scores, 100);
  ASSERT_EQ(pairs.data.rows.size(), 2U);
  EXPECT_EQ(pairs.data.rows[0].key, "c");
  EXPECT_EQ(pairs.data.rows[1].key, "d");
  EXPECT_EQ(pairs.alone, 5);
  const Pairs none = pair_up(rows, scores, 4);  // the pair has 5 inputs
  EXPECT_TRUE(none.data.rows.empty());
  EXPECT_EQ(none.data.too_long, 2);
}

TEST(Pairs, StayTogetherInEveryBatch) {
  const Examples data = right_and_wrong(40, 3);
  for (const BatchPlan& plan :
       {plan_epoch(data.rows, 60, 1, 2, 2), plan_in_order(data.rows, 60, 2)}) {
    size_t rows = 0;
    for (const auto& batch : plan) {
      ASSERT_EQ(batch.size() % 2, 0U);
      int64_t inputs = 0;
      for (size_t i = 0; i < batch.size(); ++i) {
        inputs += data.rows[batch[i]].inputs();
        EXPECT_EQ(batch[i] % 2, i % 2);
        if (i % 2 == 1) {
          EXPECT_EQ(batch[i], batch[i - 1] + 1);
        }
      }
      EXPECT_LE(inputs, 60);
      rows += batch.size();
    }
    EXPECT_EQ(rows, data.rows.size());
  }
  EXPECT_NE(plan_epoch(data.rows, 60, 1, 2, 2), plan_epoch(data.rows, 60, 1, 3, 2));
}

struct Training {
  Examples data = right_and_wrong(12, 1), held_out = right_and_wrong(20, 2);
  TrainOptions options = quick_options();
  std::string folder;
  model::Weights weights = model::Weights::random(tiny_config(), 5);

  Training() {
    options.objective = "dpo";
    options.batch_tokens = 60;
    options.checkpoint_every = 1000;
  }
  Result<LoopOutcome> go(std::function<void(const LoopState&)> on_step = nullptr) {
    base::set_thread_count(1);
    model::Network start(weights, 200, model::Precision::fp32, nullptr, model::Use::inference);
    refer_to(start, data.rows, 200);
    refer_to(start, held_out.rows, 200);
    return run_loop(weights, {.data = data,
                              .held_out = held_out,
                              .options = options,
                              .measure_start = true,
                              .folder = folder,
                              .identity = {},
                              .limit = nullptr,
                              .on_step = std::move(on_step),
                              .at_save_point = nullptr});
  }
};

TEST(Pairs, TheStudentLearnsWhichAnswerIsPreferred) {
  Training run;
  run.data = right_and_wrong(100, 1);
  run.folder = fresh_folder("preference");
  run.options.epochs = 20;
  run.options.preference_beta = 0.5;
  const auto outcome = run.go();
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_NEAR(outcome->state.start_loss, std::log(2.0), 1e-6);  // the first weights prefer nothing
  EXPECT_LT(outcome->state.held_out_loss, 0.35);
}

// A pair weighs the same, in whichever batch of the step it stands.
TEST(Pairs, AccumulatedBatchesAreOneLargeBatch) {
  Training large;
  large.options.batch_tokens = 1000;
  large.folder = fresh_folder("large");
  Training small;
  small.options.accumulate = 50;
  small.folder = fresh_folder("small");
  const auto one = large.go(), many = small.go();
  ASSERT_TRUE(one && many);
  ASSERT_EQ(one->total_steps, many->total_steps);
  EXPECT_NEAR(one->state.last_loss, many->state.last_loss, 1e-5);
  for (size_t i = 0; i < large.weights.block().size(); ++i) {
    ASSERT_NEAR(large.weights.block()[i], small.weights.block()[i], 1e-4) << i;
  }
}

TEST(Pairs, ResumeIsBitwise) {
  Training whole;
  whole.folder = fresh_folder("whole");
  const auto reference = whole.go();
  ASSERT_TRUE(reference) << reference.error().text();
  for (int64_t k = 1; k < reference->total_steps; ++k) {
    Training first;
    first.folder = fresh_folder("resumed");
    ASSERT_FALSE(first.go([&](const LoopState& state) {
      if (state.step == k) base::request_cancel();
    }));
    base::reset_cancel();
    Training second;
    second.folder = first.folder;
    ASSERT_TRUE(second.go());
    ASSERT_TRUE(same_bytes(second.weights, whole.weights)) << "interrupted after step " << k;
  }
}

}  // namespace
}  // namespace retort::train
