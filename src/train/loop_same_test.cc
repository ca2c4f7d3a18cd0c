// What must be the same, to the byte or within rounding: a run that was interrupted, a step in
// other batches, activations that are made again.
#include <gtest/gtest.h>

#include <set>

#include "base/cancel.h"
#include "train/test_loop_internal.h"

namespace retort::train {
namespace {

// Interrupted after every `stride`-th step, also in the middle of an epoch, and continued: the same
// bytes.
void expect_bitwise_resume(int threads, int64_t stride, const TrainOptions& options) {
  Training whole;
  whole.threads = threads;
  whole.options = options;
  whole.folder = fresh_folder("whole");
  const auto reference = whole.go();
  ASSERT_TRUE(reference) << reference.error().text();
  ASSERT_GE(reference->total_steps, 6);
  for (int64_t k = 1; k < reference->total_steps; k += stride) {
    Training first;
    first.threads = threads;
    first.options = options;
    first.folder = fresh_folder("resumed");
    first.on_step = [&](const LoopState& state) {
      if (state.step == k) base::request_cancel();
    };
    const auto stopped = first.go();
    base::reset_cancel();
    ASSERT_FALSE(stopped);
    ASSERT_EQ(stopped.error().code, ErrorCode::interrupted);
    Training second;
    second.threads = threads;
    second.options = options;
    second.folder = first.folder;
    const auto outcome = second.go();
    ASSERT_TRUE(outcome) << outcome.error().text();
    ASSERT_EQ(outcome->resumed_step, k);
    ASSERT_TRUE(same_bytes(second.weights, whole.weights)) << "interrupted after step " << k;
    const auto lines = metrics_of(second.folder);
    ASSERT_EQ(lines.size(), static_cast<size_t>(reference->total_steps));
    for (size_t i = 0; i < lines.size(); ++i) {
      ASSERT_EQ(lines[i].find("step")->as_int(), static_cast<int64_t>(i) + 1);
    }
  }
}

TEST(Loop, ResumeIsBitwiseFromEveryStep) {
  expect_bitwise_resume(1, 1, quick_options());
}
TEST(Loop, ResumeIsBitwiseOnTwoThreads) {
  expect_bitwise_resume(2, 4, quick_options());
}
TEST(Loop, ResumeIsBitwiseWithMuonAnAverageAndAccumulation) {
  TrainOptions options = quick_options();
  options.optimizer = "muon";
  options.average = 0.9;
  options.accumulate = 2;
  options.schedule = "wsd";
  expect_bitwise_resume(1, 1, options);
}

TEST(Loop, ResumeIsBitwiseWhereChannelsAreDropped) {
  TrainOptions options = quick_options();
  options.dropout = 0.3;
  expect_bitwise_resume(1, 1, options);
}

// Batches of a step that are computed one after another are the same step as one large batch.
void expect_one_large_batch(const TrainOptions& options) {
  Training large;
  large.options = options;
  large.folder = fresh_folder("large");
  large.options.batch_tokens = 1000;
  large.options.epochs = 4;
  Training small = large;
  small.folder = fresh_folder("small");
  small.options.batch_tokens = 20;
  small.options.accumulate = 50;
  const auto one = large.go();
  const auto many = small.go();
  ASSERT_TRUE(one && many);
  ASSERT_EQ(one->total_steps, 4);
  ASSERT_EQ(many->total_steps, 4);
  EXPECT_NEAR(one->state.last_loss, many->state.last_loss, 1e-5);
  for (size_t i = 0; i < large.weights.block().size(); ++i) {
    ASSERT_NEAR(large.weights.block()[i], small.weights.block()[i], 1e-4) << i;
  }
}

TEST(Loop, AccumulatedBatchesAreOneLargeBatch) {
  expect_one_large_batch(quick_options());
}
TEST(Loop, WhatIsDroppedDoesNotDependOnTheBatch) {
  TrainOptions options = quick_options();
  options.dropout = 0.3;
  expect_one_large_batch(options);
}

// Channels are dropped anew each step, and none where something is measured.
TEST(Loop, DroppedChannelsAreOtherOnesEachStepAndNoneWhileMeasuring) {
  const auto train = [](double dropout, double lr) {
    Training run;
    run.folder = fresh_folder("dropping");
    run.options.batch_tokens = 1000;
    run.options.dropout = dropout;
    run.options.lr = lr;
    run.options.clip_norm = 0;
    run.held_out = mapping_rows(5, 9);
    run.measure_start = true;
    EXPECT_TRUE(run.go());
    return metrics_of(run.folder);
  };
  const auto whole = train(0, 1e-9), dropping = train(0.3, 1e-9);
  ASSERT_EQ(whole.size(), dropping.size());
  const auto number = [](const json::Value& line, const char* name) {
    const json::Value* found = line.find(name);
    return found == nullptr ? 0.0 : *line.number_at(name);
  };
  std::set<double> losses;
  for (size_t i = 0; i < whole.size(); ++i) {
    EXPECT_NEAR(number(whole[i], "held_out_loss"), number(dropping[i], "held_out_loss"), 1e-6);
    if (whole[i].find("loss") == nullptr) continue;
    EXPECT_NE(number(whole[i], "loss"), number(dropping[i], "loss"));
    losses.insert(number(dropping[i], "loss"));
  }
  EXPECT_EQ(losses.size(), 3u);  // one step an epoch
}

// Also where a run that kept them goes on.
TEST(Loop, ActivationsThatAreMadeAgainGiveTheSameBytes) {
  Training kept;
  kept.folder = fresh_folder("kept");
  ASSERT_TRUE(kept.go());
  Training again;
  again.folder = fresh_folder("again");
  again.on_step = [](const LoopState& state) {
    if (state.step == 4) base::request_cancel();
  };
  ASSERT_FALSE(again.go());
  base::reset_cancel();
  Training rest;
  rest.folder = again.folder;
  rest.options.recompute = "always";
  const auto done = rest.go();
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(done->resumed_step, 4);
  EXPECT_TRUE(same_bytes(rest.weights, kept.weights));
}

}  // namespace
}  // namespace retort::train
