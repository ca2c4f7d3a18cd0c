#include <gtest/gtest.h>

#include <numeric>

#include "base/cancel.h"
#include "base/parallel.h"
#include "train/course_internal.h"
#include "train/loop_internal.h"
#include "train/pack_examples_internal.h"
#include "train/test_rows_internal.h"

namespace retort::train {
namespace {

// Parts of other rows each, named by their seeds.
Examples parted(const std::vector<uint64_t>& seeds) {
  Examples all;
  for (const uint64_t seed : seeds) {
    Examples part = mapping_rows(8 + static_cast<int64_t>(seed), seed);
    for (Example& row : part.rows) {
      row.key += "of-" + std::to_string(seed);
      all.rows.push_back(std::move(row));
    }
    all.parts.push_back({"terms-" + std::to_string(seed), std::ssize(part.rows)});
  }
  return all;
}

TrainOptions parts_options() {
  TrainOptions options = quick_options();
  options.isolate_by = "terms";
  options.keep = 1;
  options.checkpoint_every = 1000;
  return options;
}

struct Training {
  Examples data;
  std::string folder = {};
  TrainOptions options = parts_options();
  Examples held_out = mapping_rows(3, 99);
  std::function<void(const LoopState&)> on_step = nullptr;
  model::Weights weights = model::Weights::random(tiny_config(), 5);

  Result<LoopOutcome> go(Collective* collective = &alone()) {
    base::set_thread_count(1);
    return run_loop(weights, {.data = data,
                              .held_out = held_out,
                              .options = options,
                              .folder = folder,
                              .identity = {},
                              .limit = nullptr,
                              .on_step = on_step,
                              .at_save_point = nullptr,
                              .collective = collective});
  }
};

TEST(Course, EveryRowOfAPartIsLearntInEachOfItsEpochsAndNoOther) {
  const Examples data = parted({1, 2, 3});
  const TrainOptions options = parts_options();
  const Course course(data, options, 1);
  ASSERT_EQ(course.epochs(), 9);
  uint32_t first = 0;
  for (int64_t epoch = 0; epoch < course.epochs(); ++epoch) {
    const auto part = static_cast<size_t>(epoch / 3);
    std::vector<uint32_t> seen;
    for (const auto& batch : course.plan(epoch))
      seen.insert(seen.end(), batch.begin(), batch.end());
    std::sort(seen.begin(), seen.end());
    std::vector<uint32_t> wanted(static_cast<size_t>(data.parts[part].rows));
    std::iota(wanted.begin(), wanted.end(), first);
    EXPECT_EQ(seen, wanted) << epoch;
    if (epoch % 3 == 2) first += static_cast<uint32_t>(wanted.size());
  }
}

// The rate of a step depends on its own part and on how many steps stood before it.
TEST(Course, ASchedulesEndIsThatOfItsPart) {
  const Examples whole = parted({1, 2, 3}), less = parted({1, 3});
  const TrainOptions options = parts_options();
  const Course course(whole, options, 1), without(less, options, 1);
  const auto borders = course.borders();
  ASSERT_EQ(borders.size(), 3U);
  for (int64_t step = 0; step < borders[0]; ++step) {
    EXPECT_EQ(course.rate_at(step), without.rate_at(step));
  }
  EXPECT_DOUBLE_EQ(course.rate_at(borders[0] - 1), options.lr * options.min_lr_ratio);
  EXPECT_DOUBLE_EQ(course.rate_at(borders[1] - 1), options.lr * options.min_lr_ratio);
  EXPECT_GT(course.rate_at(borders[0] + 1), 0.5 * options.lr);
}

// The promise: whatever part is taken out, what is trained on from the checkpoint before it is,
// byte for byte, what a training that never had it comes to.
void expect_exact_remedy(const TrainOptions& options) {
  for (const uint64_t gone : {1, 2, 3}) {
    Training before{
        .data = parted({1, 2, 3}), .folder = fresh_folder("remedied"), .options = options};
    const auto first = before.go();
    ASSERT_TRUE(first) << first.error().text();
    ASSERT_EQ(first->kept.size(), 3U);
    std::vector<uint64_t> left;
    for (const uint64_t seed : {1, 2, 3}) {
      if (seed != gone) left.push_back(seed);
    }
    Training remedy{.data = parted(left), .folder = before.folder, .options = options};
    remedy.held_out = mapping_rows(2, 98);  // what was withdrawn is held out no longer either
    const auto again = remedy.go();
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ(again->resumed_step, gone == 1 ? -1 : first->kept[gone - 2].step);
    Training never{.data = parted(left), .folder = fresh_folder("never"), .options = options};
    never.held_out = remedy.held_out;
    const auto clean = never.go();
    ASSERT_TRUE(clean) << clean.error().text();
    EXPECT_EQ(clean->resumed_step, -1);
    EXPECT_TRUE(same_bytes(remedy.weights, never.weights)) << "without " << gone;
    EXPECT_FALSE(same_bytes(remedy.weights, before.weights));
    ASSERT_EQ(again->kept.size(), 2U);
    ASSERT_EQ(clean->kept.size(), 2U);
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(again->kept[i].weights, clean->kept[i].weights);
      EXPECT_EQ(again->kept[i].step, clean->kept[i].step);
    }
  }
}

TEST(Course, TheRemedyIsByteForByteATrainingThatNeverHadThePart) {
  expect_exact_remedy(parts_options());
}
TEST(Course, TheRemedyIsExactWithMuonAMeanAndAccumulation) {
  TrainOptions options = parts_options();
  options.optimizer = "muon";
  options.average = 0.9;
  options.accumulate = 2;
  options.schedule = "wsd";
  options.checkpoint_every = 2;
  expect_exact_remedy(options);
}

// One record less in a part is another part.
TEST(Course, OneRecordLessGoesOnFromBeforeItsPart) {
  Training before{.data = parted({1, 2, 3}), .folder = fresh_folder("one_less")};
  const auto first = before.go();
  ASSERT_TRUE(first) << first.error().text();
  const auto without_one = [] {
    Examples data = parted({1, 2, 3});
    data.rows.erase(data.rows.begin() + data.parts[0].rows + 2);
    --data.parts[1].rows;
    return data;
  };
  Training remedy{.data = without_one(), .folder = before.folder};
  const auto again = remedy.go();
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(again->resumed_step, first->kept[0].step);
  Training never{.data = without_one(), .folder = fresh_folder("never")};
  ASSERT_TRUE(never.go());
  EXPECT_TRUE(same_bytes(remedy.weights, never.weights));
}

// Nothing that has learnt the part stays among the checkpoints, also when no step is left to take.
TEST(Course, WhatHasLearntThePartGoes) {
  Training before{.data = parted({1, 2}), .folder = fresh_folder("goes")};
  const auto first = before.go();
  ASSERT_TRUE(first) << first.error().text();
  Training remedy{.data = parted({1}), .folder = before.folder};
  const auto again = remedy.go();
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(again->state.step, first->kept[0].step);
  const auto left = base::list_directory(base::join(before.folder, "checkpoints"));
  ASSERT_TRUE(left);
  int64_t checkpoints = 0;
  for (const std::string& name : *left) checkpoints += name.starts_with("step-") ? 1 : 0;
  EXPECT_EQ(checkpoints, 1);
}

// Other options begin anew rather than going on from what they did not make.
TEST(Course, OtherOptionsBeginAnew) {
  Training before{.data = parted({1, 2}), .folder = fresh_folder("options")};
  ASSERT_TRUE(before.go());
  Training other{.data = parted({1, 2}), .folder = before.folder};
  other.options.lr *= 2;
  const auto outcome = other.go();
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_EQ(outcome->resumed_step, -1);
}

TEST(Course, InterruptedAnywhereItEndsWithTheSameBytes) {
  Training whole{.data = parted({1, 2}), .folder = fresh_folder("whole")};
  const auto reference = whole.go();
  ASSERT_TRUE(reference) << reference.error().text();
  for (int64_t k = 1; k < reference->total_steps; ++k) {
    Training first{.data = parted({1, 2}), .folder = fresh_folder("stopped")};
    first.on_step = [&](const LoopState& state) {
      if (state.step == k) base::request_cancel();
    };
    const auto stopped = first.go();
    base::reset_cancel();
    ASSERT_FALSE(stopped);
    Training second{.data = parted({1, 2}), .folder = first.folder};
    const auto outcome = second.go();
    ASSERT_TRUE(outcome) << outcome.error().text();
    ASSERT_EQ(outcome->resumed_step, k);
    ASSERT_TRUE(same_bytes(second.weights, whole.weights)) << "interrupted after step " << k;
    ASSERT_EQ(outcome->kept.size(), 2U);
  }
}

TEST(Course, OtherProcessesGetTheParts) {
  const Examples data = parted({1, 2});
  Packer packer;
  exchange_examples(packer, data);
  Unpacker unpacker(packer.bytes());
  Examples there;
  exchange_examples(unpacker, there);
  ASSERT_EQ(there.parts.size(), 2U);
  EXPECT_EQ(there.parts[1].name, "terms-2");
  EXPECT_EQ(there.parts[1].rows, 10);
  EXPECT_EQ(digest(there), digest(data));
}

TEST(Course, WhatWouldCarryLaterPartsIntoEarlierOnesIsRefused) {
  const auto refused = [](const std::function<void(TrainOptions&)>& change) {
    TrainOptions options = parts_options();
    change(options);
    const auto checked = validate(options);
    return !checked && checked.error().where == "train.isolate_by";
  };
  EXPECT_TRUE(refused([](TrainOptions& o) { o.patience = 1; }));
  EXPECT_TRUE(refused([](TrainOptions& o) { o.objective = "dpo"; }));
  EXPECT_TRUE(refused([](TrainOptions& o) {
    o.objective = "forward_kl";
    o.teacher = "sampled";
  }));
  EXPECT_TRUE(refused([](TrainOptions& o) {
    o.objective = "forward_kl";
    o.on_policy = 0.5;
  }));
  EXPECT_TRUE(refused([](TrainOptions& o) { o.isolate_by = "door"; }));
  EXPECT_FALSE(refused([](TrainOptions&) {}));
  StudentOptions student;
  EXPECT_TRUE(check_isolated_start(student));
  student.trim_vocab = true;
  EXPECT_FALSE(check_isolated_start(student));
}

}  // namespace
}  // namespace retort::train
