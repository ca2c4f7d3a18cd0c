#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "base/cancel.h"
#include "base/parallel.h"
#include "base/random.h"
#include "json/value.h"
#include "train/loop_internal.h"
#include "train/test_loop_internal.h"

namespace retort::train {
namespace {

TEST(Loop, LearnsAMappingToNearlyZeroLoss) {
  Training run;
  run.data = mapping_rows(200, 1);
  run.held_out = mapping_rows(50, 2);
  run.folder = fresh_folder("learns");
  run.options.epochs = 30;
  run.options.batch_tokens = 256;
  run.options.lr = 1e-2;
  run.options.weight_decay = 0.01;
  run.options.checkpoint_every = 1000;
  const auto outcome = run.go();
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_LT(outcome->state.last_loss, 0.05);
  EXPECT_LT(outcome->state.held_out_loss, 0.2);
  const auto lines = metrics_of(run.folder);
  EXPECT_NEAR(lines.front().find("loss")->as_number(), std::log(24.0), 0.5);  // knows nothing yet
  EXPECT_EQ(lines.size(), static_cast<size_t>(outcome->state.step) + 30);
}

// By heart: what it cannot know from the rules either.
TEST(Loop, ThirtyTwoRowsAreLearntByHeart) {
  Training run;
  run.data = mapping_rows(32, 1);
  base::Random random(9);
  for (Example& row : run.data.rows) {
    for (size_t i = 0; i < row.ids.size(); ++i) {
      if (row.trained[i]) row.ids[i] = static_cast<int32_t>(random.below(20));
    }
    for (int i = 0; i < 6; ++i) {  // a name of its own in front, or two rows could contradict
      row.ids.insert(row.ids.begin(), static_cast<int32_t>(random.below(20)));
      row.trained.insert(row.trained.begin(), false);
    }
  }
  run.held_out = run.data;
  run.folder = fresh_folder("by_heart");
  run.options.epochs = 300;
  run.options.batch_tokens = 600;
  run.options.lr = 5e-3;
  run.options.weight_decay = 0;
  run.options.checkpoint_every = 1000;
  const auto outcome = run.go();
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_LT(outcome->state.held_out_loss, 0.01);
}

// What one row's teacher says is not finite: the steps with that row are refused and name it, the
// others are taken.
TEST(Loop, ARowThatIsNotFiniteIsNamedAndTheOthersAreLearnt) {
  Training run;
  run.folder = fresh_folder("one_row");
  run.options.objective = "forward_kl";
  run.options.teacher = "recorded";
  for (Example& row : run.data.rows) {
    for (int64_t i = 0; i < row.trained_tokens(); ++i) {
      const float logprob = row.key == "row-7" ? std::numeric_limits<float>::quiet_NaN() : -0.1F;
      row.teacher.add_row(std::vector<int32_t>{3}, std::vector<float>{logprob}, 0.09516258F);
    }
  }
  const auto outcome = run.go();
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_EQ(outcome->refused_steps, 3);  // one an epoch
  for (const float value : run.weights.block()) ASSERT_TRUE(std::isfinite(value));
  int64_t refused = 0;
  for (const json::Value& line : metrics_of(run.folder)) {
    if (line.find("refused") == nullptr) continue;
    ++refused;
    const auto& records = line.find("records")->as_array();
    EXPECT_LT(records.size(), run.data.rows.size());
    EXPECT_NE(std::find(records.begin(), records.end(), json::Value("row-7")), records.end());
  }
  EXPECT_EQ(refused, 3);
}

TEST(Loop, LossDoesNotDependOnPacking) {
  const Examples rows = mapping_rows(20, 3);
  const model::Weights weights = model::Weights::random(tiny_config(), 5);
  const auto gradient = [&](int64_t batch_tokens) {
    model::Network network(weights, batch_tokens, model::Precision::fp32);
    std::vector<float> sum(weights.block().size());
    double loss = 0;
    for (const auto& batch : plan_epoch(rows.rows, batch_tokens, 1, 0)) {
      const float scale = 1.0F / static_cast<float>(rows.trained_tokens());
      loss += network.forward_backward(make_batch(rows.rows, batch), scale, sum).nll_sum;
    }
    sum.push_back(static_cast<float>(loss / static_cast<double>(rows.trained_tokens())));
    return sum;
  };
  const auto alone = gradient(11);  // one row a batch: the longest has 11 inputs
  const auto together = gradient(400);
  for (size_t i = 0; i < alone.size(); ++i) ASSERT_NEAR(alone[i], together[i], 1e-5) << i;
}

TEST(Loop, MuonLearnsTheMapping) {
  Training run;
  run.data = mapping_rows(200, 1);
  run.folder = fresh_folder("muon");
  run.options.epochs = 20;
  run.options.batch_tokens = 256;
  run.options.optimizer = "muon";
  run.options.lr = 1e-2;
  run.options.checkpoint_every = 1000;
  const auto outcome = run.go();
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_LT(outcome->state.last_loss, 0.1);
}

// The weights that are left are the mean's, and the held-out loss is theirs.
TEST(Loop, TheAverageIsWhatIsMeasuredAndKept) {
  Training plain;
  plain.folder = fresh_folder("plain");
  plain.options.epochs = 6;
  Training mean = plain;
  mean.held_out = mapping_rows(20, 2);
  mean.folder = fresh_folder("mean");
  mean.options.average = 0.95;
  ASSERT_TRUE(plain.go());
  const auto outcome = mean.go();
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_FALSE(same_bytes(plain.weights, mean.weights));
  model::Network network(mean.weights, 1000, model::Precision::fp32);
  const auto loss =
      network.loss(make_batch(mean.held_out.rows, plan_in_order(mean.held_out.rows, 1000)[0]));
  EXPECT_NEAR(loss.nll(), outcome->state.held_out_loss, 1e-5);
  Training finished = mean;  // and again when nothing is left to do
  finished.weights = model::Weights::random(tiny_config(), 5);
  ASSERT_TRUE(finished.go());
  EXPECT_TRUE(same_bytes(finished.weights, mean.weights));
}

TEST(Loop, TheStartIsMeasuredOnceWhereItIsAskedFor) {
  Training run;
  run.held_out = mapping_rows(10, 2);
  run.folder = fresh_folder("start");
  run.measure_start = true;
  run.on_step = [](const LoopState& state) {
    if (state.step == 4) base::request_cancel();
  };
  ASSERT_FALSE(run.go());
  base::reset_cancel();
  Training again = run;
  again.on_step = nullptr;
  again.weights = model::Weights::random(tiny_config(), 5);
  const auto outcome = again.go();
  ASSERT_TRUE(outcome) << outcome.error().text();
  int64_t of_the_start = 0;
  for (const json::Value& line : metrics_of(run.folder)) {
    if (line.find("step")->as_int() > 0) continue;
    ++of_the_start;
    EXPECT_DOUBLE_EQ(line.find("held_out_loss")->as_number(), outcome->state.start_loss);
  }
  EXPECT_EQ(of_the_start, 1);
  EXPECT_GT(outcome->state.start_loss, outcome->state.held_out_loss);
}

TEST(Loop, LinesOfARunThatLeftNoCheckpointGo) {
  Training run;
  run.held_out = mapping_rows(10, 2);
  run.folder = fresh_folder("anew");
  run.measure_start = true;
  ASSERT_TRUE(run.go());
  const auto whole = metrics_of(run.folder);
  ASSERT_TRUE(base::remove_all(base::join(run.folder, "checkpoints")).ok());
  Training again = run;
  again.weights = model::Weights::random(tiny_config(), 5);
  ASSERT_TRUE(again.go());
  EXPECT_EQ(metrics_of(run.folder).size(), whole.size());
}

TEST(Loop, SmoothingAndZLossAreInTheLossAndTheNllStandsBesideIt) {
  Training run;
  run.folder = fresh_folder("smooth");
  run.options.label_smoothing = 0.1;
  run.options.z_loss = 1e-2;
  ASSERT_TRUE(run.go());
  for (const json::Value& line : metrics_of(run.folder)) {
    ASSERT_NE(line.find("nll"), nullptr);
    EXPECT_GT(line.find("loss")->as_number(), line.find("nll")->as_number());
  }
}

TEST(Loop, AFinishedRunIsNotTrainedAgain) {
  Training run;
  run.folder = fresh_folder("finished");
  ASSERT_TRUE(run.go());
  Training again;
  again.folder = run.folder;
  again.on_step = [](const LoopState&) { FAIL() << "a step was taken"; };
  const auto outcome = again.go();
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(same_bytes(again.weights, run.weights));
}

TEST(Loop, ChangedDataOrOptionsAreRefused) {
  Training run;
  run.folder = fresh_folder("changed");
  ASSERT_TRUE(run.go());
  Training data;
  data.folder = run.folder;
  data.data.rows.pop_back();
  ASSERT_FALSE(data.go());
  Training options;
  options.folder = run.folder;
  options.options.lr = 1e-4;
  const auto refused = options.go();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("train.lr"), std::string::npos);
  Training rhythm;  // how often checkpoints are written may change
  rhythm.folder = run.folder;
  rhythm.options.checkpoint_every = 7;
  EXPECT_TRUE(rhythm.go());
}

TEST(Loop, StepsWithoutAFiniteLossAreRefusedAndNamed) {
  Training run;
  run.folder = fresh_folder("nan");
  run.weights.tensor("model.norm.weight")[3] = std::numeric_limits<float>::quiet_NaN();
  const model::Weights before = run.weights;
  const auto outcome = run.go();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::bad_input);
  const auto lines = metrics_of(run.folder);
  ASSERT_EQ(lines.size(), 5U);
  EXPECT_EQ(*lines[0].string_at("refused"), "loss is not finite");
  EXPECT_FALSE(lines[0].find("records")->as_array().empty());
  const auto other = before.tensor("model.embed_tokens.weight");
  const auto now = run.weights.tensor("model.embed_tokens.weight");
  EXPECT_TRUE(std::equal(other.begin(), other.end(), now.begin()));
}

TEST(Loop, PatienceStopsAndGivesTheBestWeightsBack) {
  Training run;
  run.data = mapping_rows(12, 1);
  run.held_out = mapping_rows(30, 9);
  for (auto& row : run.held_out.rows) {  // unlike the data: learning the data makes it worse
    for (size_t i = 0; i < row.ids.size(); ++i) {
      if (row.trained[i]) row.ids[i] = 10 + (row.ids[i] * 7 + 3) % 10;
    }
  }
  run.folder = fresh_folder("patience");
  run.options.epochs = 40;
  run.options.lr = 1e-2;
  run.options.patience = 2;
  const auto outcome = run.go();
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_TRUE(outcome->stopped_early);
  EXPECT_LT(outcome->state.epoch, 40);
  EXPECT_LT(outcome->state.best_step, outcome->state.step);
  model::Network network(run.weights, 1000, model::Precision::fp32);
  const auto plan = plan_in_order(run.held_out.rows, 1000);
  const auto loss = network.loss(make_batch(run.held_out.rows, plan[0]));
  EXPECT_NEAR(loss.nll_sum / static_cast<double>(loss.tokens), outcome->state.best_loss, 1e-4);
}

TEST(Loop, NothingToTrainOnIsBadInput) {
  Training run;
  run.folder = fresh_folder("nothing");
  run.data.rows.clear();
  const auto outcome = run.go();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::bad_input);
}

TEST(Loop, AnAdapterIsTrainedAloneAndItsCheckpointsAreSmall) {
  Training run;
  run.data = mapping_rows(40, 1);
  run.held_out = mapping_rows(10, 2);
  run.folder = fresh_folder("adapter");
  run.options.epochs = 20;
  run.options.checkpoint_every = 1000;
  run.options.lr = 2e-2;
  const model::LoraConfig lora = {.rank = 4, .alpha = 8};
  model::Adapter adapter = model::Adapter::random(tiny_config(), lora, 1);
  run.adapter = &adapter;
  // A frozen head of a fresh model's size could tell no tokens apart.
  for (float& value : run.weights.tensor("model.embed_tokens.weight")) value *= 20;
  const model::Weights before = run.weights;
  const auto outcome = run.go();
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_TRUE(same_bytes(before, run.weights));
  EXPECT_LT(outcome->state.last_loss, 3.0);  // of 12.5 at first
  // What was measured at the end is what merging gives.
  model::merge(run.weights, adapter);
  model::Network merged(run.weights, 256, model::Precision::fp32);
  model::LossSum sum;
  for (const auto& rows : plan_in_order(run.held_out.rows, 256)) {
    sum.add(merged.loss(make_batch(run.held_out.rows, rows)));
  }
  EXPECT_NEAR(sum.loss(), outcome->state.held_out_loss, 1e-5);
  const auto latest = base::read_file(base::join(run.folder, "checkpoints/latest"));
  const std::string file = base::join(run.folder, "checkpoints/" + latest->substr(0, 11));
  const auto size = base::file_size(base::join(file, "model.safetensors"));
  ASSERT_TRUE(size) << size.error().text();
  EXPECT_LT(*size, 4 * static_cast<int64_t>(adapter.block().size()) + 8192);
}

TEST(Loop, ACheckpointOfAnotherAdapterIsNotGoneOnWith) {
  Training run;
  run.folder = fresh_folder("other_adapter");
  run.options.lora_rank = 2;
  model::Adapter two = model::Adapter::random(tiny_config(), {.rank = 2, .alpha = 4}, 1);
  run.adapter = &two;
  ASSERT_TRUE(run.go());
  run.options.lora_rank = 3;
  model::Adapter three = model::Adapter::random(tiny_config(), {.rank = 3, .alpha = 6}, 1);
  run.adapter = &three;
  const auto outcome = run.go();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::usage);
  EXPECT_NE(outcome.error().message.find("train.lora_rank"), std::string::npos);
}

TEST(LoraOptions, NameTheirKeysWhereTheyCannotWork) {
  const auto refusal = [](auto change) {
    TrainOptions options;
    options.lora_rank = 8;
    change(options);
    const auto valid = validate(options);
    return valid ? std::string() : valid.error().text();
  };
  EXPECT_EQ(refusal([](TrainOptions&) {}), "");
  EXPECT_NE(refusal([](TrainOptions& o) { o.lora_rank = -1; }).find("train.lora_rank"),
            std::string::npos);
  EXPECT_NE(refusal([](TrainOptions& o) { o.lora_rank = 2000; }).find("train.lora_rank"),
            std::string::npos);
  EXPECT_NE(refusal([](TrainOptions& o) { o.lora_alpha = -1; }).find("train.lora_alpha"),
            std::string::npos);
  const std::string named = refusal([](TrainOptions& o) {
    o.lora_targets = {"q_proj", "lm_head"};
  });
  EXPECT_NE(named.find("lm_head"), std::string::npos);
  EXPECT_NE(named.find("train.lora_targets"), std::string::npos);
  TrainOptions options;
  EXPECT_FALSE(lora_config(options)->has_value());
  options.lora_rank = 8;
  options.lora_targets = {"v_proj", "q_proj"};
  const auto lora = *lora_config(options);
  EXPECT_EQ(lora->alpha, 16);
  EXPECT_EQ(lora->targets, (std::vector{model::Projection::q, model::Projection::v}));
  EXPECT_NE(check_lora_base(options, {}).error().message.find("know something"), std::string::npos);
  EXPECT_TRUE(check_lora_base(options, {.from = "a folder"}));
}

}  // namespace
}  // namespace retort::train
