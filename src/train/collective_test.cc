// Several processes that train one student give the student of one process, within rounding.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "base/cancel.h"
#include "train/assist.h"
#include "train/lesson_internal.h"
#include "train/ranks_internal.h"
#include "train/test_rows_internal.h"

namespace retort::train {
namespace {

struct Job {
  Examples data = mapping_rows(40, 1);
  Examples held_out = mapping_rows(9, 2);
  TrainOptions options = quick_options();
  std::string folder;
  std::function<void(Collective&, const LoopState&)> on_step;
  float first_norm = 1;  // of the last norm's first weight

  int in(Collective& ranks) const {
    model::Weights weights = model::Weights::random(tiny_config(), 5);
    weights.tensor("model.norm.weight")[0] = first_norm;
    const LoopInput input{.data = data,
                          .held_out = held_out,
                          .options = options,
                          .folder = ranks.is_first() ? folder : "",
                          .identity = {},
                          .limit = nullptr,
                          .on_step =
                              [&](const LoopState& state) {
                                if (on_step) on_step(ranks, state);
                              },
                          .at_save_point = nullptr,
                          .collective = &ranks};
    const auto outcome = run_loop(weights, input);
    if (!outcome) return base::exit_code(outcome.error().code);
    const auto bytes = std::as_bytes(weights.block());
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::string name = "rank-" + std::to_string(ranks.rank());
    return base::write_file_atomic(base::join(folder, name), text) ? 0 : 1;
  }
  std::vector<int> on(int size) const {
    return run_ranks(size, [this](Collective& ranks) { return in(ranks); });
  }
  std::string bytes(int rank = 0) const {
    return base::read_file(base::join(folder, "rank-" + std::to_string(rank))).value_or("");
  }
  std::vector<float> weights() const {
    const std::string text = bytes();
    std::vector<float> values(text.size() / sizeof(float));
    std::memcpy(values.data(), text.data(), text.size());
    return values;
  }
};

const std::vector<int>& all_well(int size) {
  static std::vector<int> zeros;
  zeros.assign(static_cast<size_t>(size), 0);
  return zeros;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size() || a.empty()) return std::numeric_limits<double>::infinity();
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  return most;
}

// Of weights that move by about 3e-3 a step.
void expect_as_alone(Job job, double tolerance) {
  job.folder = fresh_folder("alone");
  ASSERT_EQ(job.on(1), all_well(1));
  const auto alone = job.weights();
  for (const int size : {2, 3, 4}) {
    SCOPED_TRACE(size);
    job.folder = fresh_folder("together");
    ASSERT_EQ(job.on(size), all_well(size));
    EXPECT_LT(largest_difference(job.weights(), alone), tolerance);
  }
}

TEST(Collective, AdamWGivesTheStudentOfOneProcess) {
  expect_as_alone({}, 2e-5);
}

TEST(Collective, MuonWithAMeanAndAccumulationToo) {
  Job job;
  job.options.optimizer = "muon";
  job.options.average = 0.9;
  job.options.accumulate = 2;
  expect_as_alone(job, 2e-4);
}

TEST(Collective, WhatIsDroppedIsTheSameOnAnyNumber) {
  Job job;
  job.options.dropout = 0.3;
  job.options.recompute = "always";
  expect_as_alone(job, 2e-5);
}

TEST(Collective, AndTheBestStepOfAPatientRun) {
  Job job;
  job.options.epochs = 12;
  job.options.lr = 1e-2;
  job.options.patience = 1;
  job.options.checkpoint_every = 1000;
  for (Example& row : job.held_out.rows) {  // unlike the data
    for (size_t i = 0; i < row.ids.size(); ++i) {
      if (row.trained[i]) row.ids[i] = 10 + (row.ids[i] * 7 + 3) % 10;
    }
  }
  expect_as_alone(job, 2e-4);
}

// Pairs stay whole, and are what a mean is over.
TEST(Collective, PairsToo) {
  Job job;
  job.options.objective = "dpo";
  job.options.batch_tokens = 80;
  job.held_out.rows.pop_back();
  for (Examples* examples : {&job.data, &job.held_out}) {
    for (Example& row : examples->rows) {
      set_reference(row, std::vector<float>(static_cast<size_t>(row.trained_tokens()), -2.0F));
    }
  }
  expect_as_alone(job, 2e-5);
}

TEST(Collective, EveryRankHasTheSameBytesAndAgain) {
  Job job;
  job.folder = fresh_folder("first");
  ASSERT_EQ(job.on(3), all_well(3));
  const std::string first = job.bytes();
  EXPECT_FALSE(first.empty());
  for (const int rank : {1, 2}) EXPECT_TRUE(job.bytes(rank) == first) << rank;
  job.folder = fresh_folder("again");
  ASSERT_EQ(job.on(3), all_well(3));
  EXPECT_TRUE(job.bytes() == first);
}

TEST(Collective, AKilledRankEndsAllAndAnyNumberGoesOn) {
  Job whole;
  whole.folder = fresh_folder("undisturbed");
  ASSERT_EQ(whole.on(1), all_well(1));
  for (const int later : {1, 2, 4}) {
    SCOPED_TRACE(later);
    Job job;
    job.folder = fresh_folder("killed");
    job.on_step = [](Collective& ranks, const LoopState& state) {
      if (ranks.rank() == 1 && state.step == 5) ::raise(SIGKILL);
    };
    const auto codes = job.on(2);
    EXPECT_EQ(codes[1], -SIGKILL);
    EXPECT_EQ(codes[0], -SIGKILL);
    const auto kept = Checkpoints({.folder = base::join(job.folder, "checkpoints")}).completed();
    ASSERT_TRUE(kept && !kept->empty());
    EXPECT_EQ(kept->back(), 4);
    job.on_step = nullptr;
    ASSERT_EQ(job.on(later), all_well(later));
    EXPECT_LT(largest_difference(job.weights(), whole.weights()), 2e-5);
  }
}

TEST(Collective, OneThatIsToldToStopStopsAllWithACheckpoint) {
  Job job;
  job.folder = fresh_folder("told");
  job.on_step = [](Collective& ranks, const LoopState& state) {
    if (ranks.rank() == 1 && state.step == 3) base::request_cancel();
  };
  EXPECT_EQ(job.on(2), (std::vector<int>{130, 130}));
  const auto kept = Checkpoints({.folder = base::join(job.folder, "checkpoints")}).completed();
  ASSERT_TRUE(kept && !kept->empty());
  EXPECT_EQ(kept->back(), 3);
}

TEST(Collective, AStepThatIsNotFiniteIsRefusedEverywhere) {
  Job job;
  job.folder = fresh_folder("nan");
  job.first_norm = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(job.on(2), (std::vector<int>{4, 4}));
}

TEST(Collective, ShareOfGivesEveryGroupOnceAndAboutAsMuchToEach) {
  const Examples rows = mapping_rows(60, 4);
  for (const uint32_t together : {1U, 2U}) {
    const auto plan = plan_epoch(rows.rows, 100, 1, 0, together);
    const auto batches = std::span(plan).first(3);
    std::multiset<uint32_t> wanted, dealt;
    int64_t most = 0, least = std::numeric_limits<int64_t>::max();
    for (const auto& batch : batches) wanted.insert(batch.begin(), batch.end());
    for (int rank = 0; rank < 4; ++rank) {
      int64_t inputs = 0;
      for (const auto& batch :
           share_of(rows.rows, batches,
                    {.rank = rank, .size = 4, .batch_tokens = 100, .together = together})) {
        int64_t here = 0;
        for (size_t i = 0; i < batch.size(); ++i) {
          here += rows.rows[batch[i]].inputs();
          if (i % together != 0) {
            EXPECT_EQ(batch[i], batch[i - 1] + 1);
          }
        }
        EXPECT_LE(here, 100);
        inputs += here;
        dealt.insert(batch.begin(), batch.end());
      }
      most = std::max(most, inputs);
      least = std::min(least, inputs);
    }
    EXPECT_EQ(dealt, wanted);
    EXPECT_LE(most - least, 12 * together);  // the longest row or pair
  }
}

// Rank 0 has all; the other is given it, an adapter included, until there is no more.
TEST(Collective, WhoeverAssistsIsGivenEverything) {
  const auto train = [](Collective& ranks, const std::string& folder) {
    TrainOptions options = quick_options();
    options.lora_rank = 3;
    const Examples data = mapping_rows(40, 1), held_out = mapping_rows(9, 2);
    model::Weights weights = model::Weights::random(tiny_config(), 5);
    const auto lora = lora_config(options);
    model::Adapter adapter = model::Adapter::random(tiny_config(), **lora, 5);
    const LoopInput input{.data = data,
                          .held_out = held_out,
                          .options = options,
                          .folder = folder,
                          .identity = {},
                          .limit = nullptr,
                          .on_step = nullptr,
                          .at_save_point = nullptr,
                          .collective = &ranks};
    for (int again = 0; again < 2; ++again) {
      if (ranks.size() > 1) give_lesson(ranks, input, weights, &adapter, nullptr);
      if (!run_loop(weights, input, &adapter)) return 1;
    }
    if (ranks.size() > 1) dismiss(ranks);
    const auto bytes = std::as_bytes(adapter.block());
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return base::write_file_atomic(base::join(folder, "adapter"), text) ? 0 : 1;
  };
  const auto trained_on = [&](int size) {
    const std::string folder = fresh_folder("on_" + std::to_string(size));
    const auto codes = run_ranks(size, [&](Collective& ranks) {
      if (ranks.is_first()) return train(ranks, folder);
      return assist(ranks) ? 0 : 1;
    });
    EXPECT_EQ(codes, all_well(size));
    const std::string text = base::read_file(base::join(folder, "adapter")).value_or("");
    std::vector<float> values(text.size() / sizeof(float));
    std::memcpy(values.data(), text.data(), text.size());
    return values;
  };
  const auto alone = trained_on(1);
  EXPECT_LT(largest_difference(trained_on(2), alone), 2e-5);
  EXPECT_LT(largest_difference(trained_on(3), alone), 2e-5);
}

}  // namespace
}  // namespace retort::train
