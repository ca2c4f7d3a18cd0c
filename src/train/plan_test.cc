// What a student will take, by the headers of files, and what cannot work, before there is data.
#include "train/plan.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/cpu.h"
#include "model/network.h"
#include "train/probe.h"
#include "train/test_rows_internal.h"

namespace retort::train {
namespace {

TEST(StudentPlanTest, FromScratchIsWhatTheLoopTakes) {
  StudentOptions student;
  student.layers = 2;
  student.width = 64;
  TrainOptions options;
  options.precision = "fp32";
  const auto plan = plan_student({.student = student, .options = options, .vocab_size = 500});
  ASSERT_TRUE(plan) << plan.error().text();
  EXPECT_EQ(plan->shape, *student_config(student, 500));
  EXPECT_EQ(plan->memory_bytes,
            training_memory_bytes(plan->shape, options, model::Precision::fp32, nullptr));
  const auto more = estimate(*plan, {.rows = 100, .tokens_per_row = 64}, options, 1000);
  ASSERT_TRUE(more) << more.error().text();
  EXPECT_EQ(more->tokens, 6 * 100 * 64);
  EXPECT_EQ(more->steps, 6 * 2);  // 64 rows a batch
  EXPECT_DOUBLE_EQ(more->seconds, 38.4);
  EXPECT_GT(estimate(*plan, {.rows = 100, .tokens_per_row = 64}, options)->tokens_per_second, 0);
}

TEST(StudentPlanTest, TooMuchMemoryIsRefusedWithBothNumbers) {
  StudentOptions student;
  student.layers = 100;
  student.width = 16384;
  TrainOptions options;
  const auto plan = plan_student({.student = student, .options = options, .vocab_size = 4096});
  ASSERT_TRUE(plan) << plan.error().text();
  const auto enough = check_memory(plan->memory_bytes);
  ASSERT_FALSE(enough);
  EXPECT_EQ(enough.error().code, ErrorCode::usage);
  EXPECT_NE(enough.error().message.find("GiB"), std::string::npos) << enough.error().text();
  EXPECT_TRUE(check_memory(base::total_memory_bytes()).ok());
}

TEST(StudentPlanTest, ActivationsAreMadeAgainWhereMemoryIsShort) {
  StudentOptions student;
  student.layers = 30;
  TrainOptions options;
  const auto config = student_config(student, 1000);
  ASSERT_TRUE(config) << config.error().text();
  const auto precision = model::Precision::fp32;
  TrainOptions always = options;
  always.recompute = "always";
  const int64_t kept = training_memory_bytes(*config, options, precision, nullptr);
  const int64_t again = training_memory_bytes(*config, always, precision, nullptr);
  EXPECT_LT(2 * again, kept);
  EXPECT_FALSE(recomputes({*config, precision}, options, 100, kept + 100));
  EXPECT_TRUE(recomputes({*config, precision}, options, 101, kept + 100));
  EXPECT_TRUE(recomputes({*config, precision}, always, 0, kept));
  options.recompute = "never";
  EXPECT_FALSE(recomputes({*config, precision}, options, 0, 1));
}

TEST(StudentPlanTest, AFileThatIsNotThereIsNamed) {
  StudentOptions student;
  student.from = "none.gguf";
  const auto plan = plan_student({.student = student, .options = {}});
  ASSERT_FALSE(plan);
  EXPECT_NE(plan.error().text().find("none.gguf"), std::string::npos);
}

}  // namespace
}  // namespace retort::train
